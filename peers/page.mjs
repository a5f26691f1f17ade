// The browser's side of drive.mjs, as one script.
import { viaTus, viaUppy } from "./client.mjs";

globalThis.run = (job) => {
  const [file] = document.querySelector("input").files;
  if (job.client === "uppy") return viaUppy(job, file, {});
  return viaTus(job, job.defer ? file.stream().getReader() : file, {});
};
