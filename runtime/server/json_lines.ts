/** Results as JSON: one for each input, in a whole answer or line by line as they come. */
import type { Modality } from "../abi/encoder.ts";
import type { Call } from "./call.ts";
import { errorBody, type HttpError, httpError } from "./http_error.ts";
import { failureOf, type Log } from "./log.ts";
import { numbersOf } from "./vectors.ts";
import { answerCounter, encodeAll, GROWTH, type WorkContext, type WorkInput, type WorkResult } from "./work.ts";

type NumberFormat = "float" | "base64";

const KINDS: Readonly<Record<Modality, "image" | "text" | "audio">> = { vision: "image", text: "text", audio: "audio" };

export function jsonItem({ index, modality, outputs }: WorkResult, format: NumberFormat): object {
  const tensors = Object.entries(outputs).map(([name, { dtype, shape, data }]) => [
    name,
    { dtype, shape, data: numbersOf(data, format) },
  ]);
  return { index, kind: KINDS[modality], outputs: Object.fromEntries(tensors) };
}

/** A body that is written while its reader has room for more. */
class LineBody {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #signal: AbortSignal;
  readonly #utf8 = new TextEncoder();
  readonly #waiting = new Set<() => void>();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  /** @param highWaterMark bytes that may wait to be read */
  constructor(highWaterMark: number, signal: AbortSignal, onCancel: () => void) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
    this.stream = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#wake(),
        cancel: onCancel,
      },
      { highWaterMark, size: (bytes) => bytes.length },
    );
  }

  #wake(): void {
    for (const go of this.#waiting) go();
    this.#waiting.clear();
  }

  /** Resolves when there is room, or when nobody reads any more. */
  async room(): Promise<void> {
    while ((this.#controller?.desiredSize ?? 1) <= 0 && !this.#signal.aborted) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** @throws TypeError where the reader left */
  write(line: object): void {
    this.#controller?.enqueue(this.#utf8.encode(`${JSON.stringify(line)}\n`));
  }

  close(): void {
    this.#controller?.close();
  }
}

/** A line for each input as soon as it is done; one that says what went wrong ends the answer. */
export function jsonLines(
  inputs: readonly WorkInput[],
  context: WorkContext,
  format: NumberFormat,
  call: Call,
  log: Log,
): Response {
  call.keepOpen();
  // The line about the request said 200, before anything could go wrong.
  const refusal = (error: unknown): HttpError => {
    const refused = httpError(error);
    log({ event: "stream_failed", request: call.requestId, route: "/v1/encode", ...failureOf(refused) });
    return refused;
  };
  const body = new LineBody(context.answerBytes / GROWTH.float, call.signal, () => call.end());
  const tell = async (result: WorkResult): Promise<void> => {
    answerCounter(context, GROWTH[format])(result);
    await body.room();
    body.write(jsonItem(result, format));
  };
  void encodeAll(inputs, context, tell)
    .catch((error: unknown) => body.write(errorBody(refusal(error))))
    .then(() => body.close())
    // A client that left takes no more lines.
    .catch(() => {})
    .finally(() => call.end());
  return new Response(body.stream, { headers: { "content-type": "application/x-ndjson" } });
}
