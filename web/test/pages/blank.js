import * as streamflow from "/client/dist/index.js";

globalThis.streamflow = streamflow;
// An import in a test would be rewritten by the test runner.
globalThis.load = (path) => import(path);
