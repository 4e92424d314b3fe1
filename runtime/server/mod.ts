/**
 * `fovea/server`: encoders over HTTP.
 * @module
 */
export type { Hono } from "hono";
export type { RawTensor } from "../exec/weights/writer.ts";
export type { ListenOptions } from "../host/listen.ts";
export type { ServerApp, ServerControls } from "./app.ts";
export { createApp } from "./create_app.ts";
export { type ErrorStatus, HttpError } from "./http_error.ts";
export type { LogLine } from "./log.ts";
export type { ServedModel } from "./models.ts";
export type { ServerOptions } from "./options.ts";
export { type RunningServer, type ServeOptions, serve } from "./serve.ts";
export { encodeTorch } from "./torch_file.ts";
