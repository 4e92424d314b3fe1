/** Serves this process's device until it is ended; prints where. */
import { serveDevice } from "./serve_device.ts";

const { url } = await serveDevice(Number(process.argv[2] ?? 0));
console.log(url);
