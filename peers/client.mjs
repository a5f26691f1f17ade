// What tus-js-client and Uppy are asked to do, in Node and in a browser alike.
//
// A job has an endpoint, a name and, each where it is wanted: chunk (bytes),
// headers, defer, parallel (streams), together (creation with upload), and
// stopAt: how many bytes to send before the client is told to pause, terminate
// or leave.
import Uppy from "@uppy/core";
import Tus from "@uppy/tus";
import * as tus from "tus-js-client";

const retryDelays = [0, 100, 300, 1000, 2000, 3000];

const options = (job) => ({
  endpoint: job.endpoint,
  headers: job.headers ?? {},
  chunkSize: job.chunk || Infinity,
  parallelUploads: job.parallel || 1,
  uploadLengthDeferred: Boolean(job.defer),
  uploadDataDuringCreation: Boolean(job.together),
  retryDelays: job.retry ? retryDelays : null,
});

// A person who pauses takes a moment to go on, in which what was under way ends.
const pause = 300;

// atStop calls stop once, soon after enough was sent: as a person would, not
// from within the client's own event.
function atStop(job, stop) {
  let stopped = false;
  return (sent) => {
    if (!job.then || stopped || sent < job.stopAt) return;
    stopped = true;
    setTimeout(stop);
  };
}

const refusal = (error) => ({
  status: error.originalResponse?.getStatus() ?? 0,
  error: String(error.message ?? error),
});

export function viaTus(job, input, storage) {
  return new Promise((resolve, reject) => {
    const stop = async () => {
      const { url } = upload;
      await upload.abort(job.then === "terminate");
      if (job.then === "pause") setTimeout(() => upload.start(), pause);
      else resolve({ url });
    };
    const upload = new tus.Upload(input, {
      ...options(job),
      ...storage,
      metadata: { filename: job.name },
      onProgress: atStop(job, () => stop().catch(reject)),
      onSuccess: () => resolve({ url: upload.url }),
      onError: (error) => resolve({ url: upload.url, ...refusal(error) }),
    });
    upload
      .findPreviousUploads()
      .then(([previous]) => {
        if (previous) upload.resumeFromPreviousUpload(previous);
        upload.start();
      })
      .catch(reject);
  });
}

export function viaUppy(job, data, storage) {
  return new Promise((resolve, reject) => {
    const uppy = new Uppy().use(Tus, {
      ...options(job),
      ...storage,
      retryDelays: job.retry ? retryDelays : [],
      allowedMetaFields: ["name"],
      // Uppy itself doesn't wait for the answer to its DELETE.
      onAfterResponse: (request) => {
        if (request.getMethod() === "DELETE") resolve({ url: request.getURL() });
      },
    });
    const id = uppy.addFile({ name: job.name, data });
    const url = () => uppy.getFile(id)?.tus?.uploadUrl;
    const stop = () => {
      const left = url();
      if (job.then === "terminate") {
        uppy.removeFile(id);
        return;
      }
      uppy.pauseResume(id);
      if (job.then === "pause") setTimeout(() => uppy.pauseResume(id), pause);
      else resolve({ url: left });
    };
    const watch = atStop(job, stop);
    uppy.on("upload-progress", (_, progress) => watch(progress.bytesUploaded));
    uppy
      .upload()
      .then(({ successful: [done], failed: [lost] }) => {
        if (done) resolve({ url: done.uploadURL });
        else if (lost) resolve({ url: url(), status: lost.response?.status ?? 0, error: lost.error });
      })
      .catch(reject);
  });
}
