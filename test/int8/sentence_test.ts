import { testInt8 } from "./fixture_kit.ts";

testInt8("sentence");
