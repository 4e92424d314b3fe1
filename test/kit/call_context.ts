/** Forward contexts for tests that run programs and towers themselves. */
import { type CallOptions, type OpenContext, openContext } from "../../runtime/exec/forward_context.ts";

/** A context that nobody has to close unless `options` give it a deadline. */
export function callContext(tag = "test", options: CallOptions = {}): OpenContext {
  return openContext(tag, options, { requestId: "1", now: () => performance.now() });
}
