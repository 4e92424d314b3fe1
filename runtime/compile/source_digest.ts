/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8c00e4b9736bd5c3acdceaff5feb822973e836e946336bf2f6654495dc35e136";
