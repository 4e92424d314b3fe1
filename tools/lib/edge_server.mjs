// The server's routes over a frozen model, in workerd: the conformance suite that test/server runs against the other runtimes.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildTests } from "../build.mjs";
import { at } from "./project.mjs";
import { dryRun, startWorkerd } from "./workerd.mjs";

/** Asks a folder that was frozen with --app; resolves to what is wrong and how many cases there were. */
export async function checkFrozenServer(folder) {
  await buildTests();
  const { askerOf, CASES, ORIGIN, TOKEN } = await import(
    pathToFileURL(at(".build/node/test/server/conformance.js")).href
  );
  const out = `${folder}_out`;
  rmSync(out, { recursive: true, force: true });
  await dryRun(folder, out);
  const server = await startWorkerd(out, join(folder, "assets"), { TOKENS: TOKEN, ORIGINS: ORIGIN });
  const problems = [];
  try {
    for (const { name, run } of CASES) {
      try {
        await run(askerOf(server.url), server.url);
      } catch (error) {
        problems.push(`workerd, where a server ${name}: ${error.message}`);
      }
    }
    return { problems, cases: CASES.length, rssBytes: server.use()?.rssBytes };
  } finally {
    await server.stop();
  }
}
