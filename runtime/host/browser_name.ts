/** Which browser a page is in, as it says itself; for messages, and for what is faster on one engine than on another. */

export interface BrowserName {
  /** Such as `Chrome 150`. */
  readonly version: string;
  /** As `Host.engine`. */
  readonly engine: string;
}

interface Family {
  readonly name: string;
  readonly pattern: RegExp;
  readonly engine: string;
}

/** In this order: every Chromium says Safari as well, and each browser on an iPhone is one. */
const FAMILIES: readonly Family[] = [
  { name: "Safari", pattern: /(?:iPhone|iPad).*?(?:Version|CriOS|FxiOS|EdgiOS)\/(\d+)/, engine: "JavaScriptCore" },
  { name: "Firefox", pattern: /Firefox\/(\d+)/, engine: "SpiderMonkey" },
  { name: "Edge", pattern: /Edg\/(\d+)/, engine: "V8" },
  { name: "Chrome", pattern: /Chrome\/(\d+)/, engine: "V8" },
  { name: "Safari", pattern: /Version\/(\d+).*Safari/, engine: "JavaScriptCore" },
];

/** @param userAgent `navigator.userAgent` */
export function browserName(userAgent: string): BrowserName {
  for (const { name, pattern, engine } of FAMILIES) {
    const found = pattern.exec(userAgent);
    // Chromium's version is that of its V8, but for a factor.
    if (found !== null) return { version: `${name} ${found[1]}`, engine: engine === "V8" ? `V8 ${found[1]}` : engine };
  }
  return { version: "unknown", engine: "unknown" };
}
