/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
<<<<<<< HEAD
export const SOURCE_DIGEST: string = "a63b8107f430551fc57e8b75ee02d637632e49cb37e6ae82f18f9f6bd0d09f5b";
=======
export const SOURCE_DIGEST: string = "efcc1669295bb1c76b369f1b514e4a33ac62561b8d47af818c6b4abffea36d72";
>>>>>>> b1bea91 (Comparisons split ranges, trace breaks with the author's line, impure builds refused)
