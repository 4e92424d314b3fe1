/** The application of a runtime and its models. */
import { requestFrom, resolveName } from "../host/pinned_request.ts";
import { assembleApp, type ServerApp } from "./app.ts";
import { checkServerOptions, type ServerOptions } from "./options.ts";
import { createImageFetcher, type FetchImage } from "./remote_images.ts";

const MEGABYTE = 2 ** 20;

/** Undefined where remote pictures are off. */
function imageFetcher({ allowImagesFrom: hosts, remoteImages }: ServerOptions): FetchImage | undefined {
  if (hosts === undefined) return undefined;
  const { maxBytes = 16 * MEGABYTE, timeoutMs = 10_000 } = remoteImages ?? {};
  return createImageFetcher({ hosts, maxBytes, timeoutMs }, { resolve: resolveName, request: requestFrom });
}

/**
 * A server of models as an application with its routes (docs/serving.md). Loading begins at once; until `ready` resolves requests
 * are refused with 503.
 * @throws FoveaError `invalid_options`
 */
export function createApp(options: ServerOptions): ServerApp {
  const settings = checkServerOptions(options);
  return assembleApp(settings, imageFetcher(options));
}
