/** Which encoder a configuration is for. */

type Json = Readonly<Record<string, unknown>>;

/**
 * The entry of `EncoderSpec.modelTypes` that stands for a configuration: its `model_type` with that of its `vision_config`, as in
 * `llava/pixtral`, where it is among them, else its `model_type`.
 * @param config a parsed `config.json`
 * @param known entries of all encoders in question
 */
export function servedType(config: Json, known: readonly string[]): string {
  const vision = config.vision_config as Json | null | undefined;
  const both = `${config.model_type}/${vision?.model_type}`;
  return known.includes(both) ? both : String(config.model_type);
}

/**
 * The encoder that serves a configuration.
 * @param config a parsed `config.json`
 * @param encoders those of one or more plugins
 */
export function encoderFor<E extends { readonly modelTypes: readonly string[] }>(
  config: Json,
  encoders: readonly E[],
): E | undefined {
  const type = servedType(
    config,
    encoders.flatMap(({ modelTypes }) => modelTypes),
  );
  return encoders.find(({ modelTypes }) => modelTypes.includes(type));
}
