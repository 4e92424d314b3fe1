/** Types of `#hub`, the part of the hub's client that tools/vendor.mjs bundles. */
export { downloadFile, listFiles, modelInfo } from "@huggingface/hub";
