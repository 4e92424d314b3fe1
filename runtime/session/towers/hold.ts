/** What calls wait for before they begin: a device that is being opened anew. */
import { type ForwardContext, untilStopped } from "../../exec/forward_context.ts";

export class Hold {
  #work: Promise<unknown> | undefined;

  /** Calls that come until `work` has ended wait for it, whatever comes of it. */
  on(work: Promise<unknown>): void {
    const before = this.#work;
    const all = work.then(
      () => before,
      () => before,
    );
    this.#work = all;
    void all.then(() => {
      if (this.#work === all) this.#work = undefined;
    });
  }

  /** Whether there is something to wait for. */
  get isOn(): boolean {
    return this.#work !== undefined;
  }

  /** Waits as long as there is something to wait for. @throws the context's reason to stop */
  async pass(context: ForwardContext): Promise<void> {
    while (this.#work !== undefined) {
      context.doing(() => "waiting for the device to be opened anew");
      await untilStopped(this.#work, context);
    }
  }
}
