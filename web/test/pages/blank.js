import * as streamflow from "/client/dist/index.js";

globalThis.streamflow = streamflow;
