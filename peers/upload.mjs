// Uploads a file with tus-js-client as its documentation says for Node: a file
// stream, and the default chunk size, which sends all of it in one PATCH. With
// a third argument, that is the chunk size in bytes.
//
//	node upload.mjs FILE ENDPOINT [CHUNK]
//
// With no arguments it ends at once: what it takes to start.
import { createReadStream, statSync } from "node:fs";
import * as tus from "tus-js-client";

const [file, endpoint, chunk] = process.argv.slice(2);
if (file) {
  await new Promise((resolve, reject) => {
    new tus.Upload(createReadStream(file), {
      endpoint,
      uploadSize: statSync(file).size,
      chunkSize: chunk ? Number(chunk) : Infinity,
      retryDelays: null,
      metadata: { filename: "source" },
      onSuccess: resolve,
      onError: reject,
    }).start();
  });
}
