/** What mod.ts is in the browser's bundle, which holds no other host. */
import { createBrowserHost } from "./browser.ts";
import type { Host } from "./host.ts";
import type { JpegDecoder } from "./native_jpeg.ts";

export const detectHost = async (): Promise<Host> => createBrowserHost();

/** Browsers manage colours while they decode, to other pixels than the codecs'. */
export const loadJpegDecoder = async (): Promise<JpegDecoder | undefined> => undefined;
