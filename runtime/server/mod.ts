/** `fovea/server`: encoders over HTTP. */
export { createApp, type ServerApp, type ServerControls } from "./app.ts";
export { HttpError } from "./http_error.ts";
export type { LogLine } from "./log.ts";
export type { ServedModel } from "./models.ts";
export type { ServerOptions } from "./options.ts";
export { type RunningServer, serve } from "./serve.ts";
export { encodeTorch } from "./torch_file.ts";
