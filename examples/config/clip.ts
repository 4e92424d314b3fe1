import { defineConfig } from "../../mod.ts";

export default defineConfig({
  compile: {
    base: { lazy: true },
    components: {
      "clip/*": { maxArtifacts: 4 },
      "clip/vision.*": { lazy: false },
      "clip/vision.block": { ranges: { ends: { batch: [1, 4] } } },
      "clip/text.pool": { device: "reference" },
    },
  },
});
