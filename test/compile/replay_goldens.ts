/** Records the corpus of process replay anew; a change of artifacts needs a reason. */
import { type Corpus, corpusBytes, declareCorpus, REPLAY_FILE, readCorpus, recordCorpus } from "./replay_corpus.ts";

/** @throws Error for a change without `because` */
export async function goldens(because?: string): Promise<Record<string, Uint8Array>> {
  const before = readCorpus();
  const corpus: Corpus = declareCorpus(before, recordCorpus(), because);
  return corpus === before ? {} : { [REPLAY_FILE]: corpusBytes(corpus) };
}
