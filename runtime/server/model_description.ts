/** What `/v1/models` says of a model. */
import type { ListedModel } from "./models.ts";

export function describeModel({ name, encoder, created }: ListedModel): object {
  return {
    id: name,
    object: "model",
    created,
    owned_by: "fovea",
    model_type: encoder.modelType,
    modalities: encoder.modalities,
    ...(encoder.jpegShrinkOnLoad ? { jpeg_shrink_on_load: true } : {}),
    outputs: Object.fromEntries(
      encoder.modalities.map((m) => {
        const { outputs, layout = [] } = encoder.tower(m).spec;
        return [m, [...outputs, ...layout]];
      }),
    ),
  };
}
