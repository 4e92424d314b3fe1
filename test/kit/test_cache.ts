/** Where all tests of this machine keep what they compile, on all runtimes: what one compiled, the others take. */
import { tmpdir } from "node:os";
import { join } from "node:path";

export const TEST_CACHE: string = join(tmpdir(), "fovea-test-cache");
