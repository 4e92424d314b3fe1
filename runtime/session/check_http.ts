/** What options of servers hold: kept apart from the checks that frozen folders carry too. */
import { type Expected, TEXTS } from "./check.ts";

const listOf = (text: string, isOne: (name: string) => boolean): Expected => ({
  text,
  holds: (v) => TEXTS.holds(v) && (v as readonly string[]).every(isOne),
});

/** Pages that a browser lets ask, as its header Origin names them, those of applications included. */
export const ORIGINS: Expected = listOf(
  "a list of origins in lower case and without a path, such as https://example.com; * is everybody",
  (name) => name === "*" || /^[a-z][a-z\d+.-]*:\/\/[^\sA-Z/?#@]+$/.test(name),
);

/** What the header Authorization of HTTP can carry behind `Bearer`. */
export const BEARER_TOKENS: Expected = listOf("a list of tokens of letters, digits and any of ._~+/-", (token) =>
  /^[A-Za-z0-9._~+/-]+=*$/.test(token),
);

/** Hosts, some with a port, some with all below them. */
export const HOSTS: Expected = listOf("a list of hosts, such as images.example.com or *.example.com", (name) =>
  /^(\*\.)?[a-z\d-]+(\.[a-z\d-]+)*\.?(:\d+)?$/i.test(name),
);
