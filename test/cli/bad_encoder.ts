/** A deliberately bad encoder: a plugin whose component commits every sin that breaks a trace, one a line. */
import { definePlugin, type GraphBuilder, type Plugin } from "../../mod.ts";

// biome-ignore lint/suspicious/noExplicitAny: a plugin in plain JavaScript has no types that would stop it
type Any = any;

/** What each line of `commit` does, in order. */
export const SINS: readonly string[] = [
  "host_read",
  "host_read",
  "branch",
  "branch",
  "unknown_op",
  "unnamed_size",
  "unnamed_size",
  "comparison",
];

function commit(b: GraphBuilder, x: Any): readonly unknown[] {
  return [
    x.data[0],
    x.item(),
    x > 0.5 ? 1 : 2,
    Number(x),
    b.op("swiglu_of_mine", [x]),
    b.reshape(x, [-1]),
    (b.dims as Any).patchez,
    b.lessThan(b.dims.tokens, b.dims.patches),
  ];
}

export const badPlugin: Plugin = definePlugin({
  name: "@example/bad",
  version: "1.0.0",
  abi: 1,
  encoders: [
    {
      name: "bad",
      modelTypes: ["bad"],
      files: [],
      open: () => ({
        towers: [
          {
            modality: "vision",
            inputs: [],
            outputs: [],
            components: [
              {
                tag: "bad/vision.block",
                symbols: { tokens: { min: 1, max: 8 }, patches: { min: 1, max: 8 } },
                instances: [""],
                build: (b) => {
                  const x = b.input("hidden_states", [b.dims.tokens, 4]);
                  commit(b, b.unary("gelu", x));
                  b.output("hidden_states", x);
                },
              },
            ],
            prepare: (inputs) => inputs,
            plan: () => ({ key: "", calls: [], constants: {}, results: {} }),
            exampleSizes: [],
            example: () => ({}),
          },
        ],
        prefixes: [""],
        processors: () => ({}),
      }),
    },
  ],
});
