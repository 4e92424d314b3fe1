// What fovea uses of the client of the Hugging Face hub. Taken from its sources: the published bundle is one piece that a
// bundler cannot take apart, and pulls in tables of tasks and uploads that nothing here needs.
export { downloadFile } from "../../node_modules/@huggingface/hub/src/lib/download-file.ts";
export { listFiles } from "../../node_modules/@huggingface/hub/src/lib/list-files.ts";
export { modelInfo } from "../../node_modules/@huggingface/hub/src/lib/model-info.ts";
