/** The range that serves one component call, with errors that name the request. */
import type { Bindings } from "../../core/dim.ts";
import { dispatch } from "../../core/range.ts";
import { dimsText, type ForwardContext, inRequest } from "../../exec/forward_context.ts";
import type { RangeSlot, ReadyComponent } from "../artifacts/ready_component.ts";

/**
 * Uses a range's artifact, which may have to be compiled and loaded first.
 * @throws FoveaError `outside_ranges`, and what `use` throws; the signal's reason on abort
 */
export async function withSlot<T>(
  { spec, boxes, slots }: ReadyComponent,
  dims: Bindings,
  context: ForwardContext,
  use: (slot: RangeSlot) => Promise<T>,
): Promise<T> {
  const call = (): string => `component "${spec.tag}"${dimsText(dims)}`;
  const loading = (): string => `compiling and loading ${call()}`;
  let where = (): string => `call of ${call()}`;
  try {
    const slot = slots[dispatch(spec.tag, boxes, dims, spec.relations)];
    where = loading;
    context.check();
    context.doing(loading);
    return await use(slot);
  } catch (error) {
    throw inRequest(error, context, where());
  }
}
