// Runs @tus/server over a directory until it is killed.
//
//	node tus-server.mjs PORT DIR [MAX-SIZE]
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [port, directory, maxSize] = process.argv.slice(2);
new Server({
  path: "/files",
  relativeLocation: true,
  maxSize: maxSize ? Number(maxSize) : undefined,
  datastore: new FileStore({ directory }),
}).listen({ host: "127.0.0.1", port: Number(port) });
