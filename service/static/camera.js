/** Reads what the camera sees, a few times a second, and says when the reading is steady. */

import { pause } from "./api.js";

const PAUSE = 200; // ms between frames
const SENT = 320; // pixels a side
const FRAME = 0.7; // side of the frame that is read, of the shorter side of the picture
const WINDOW = 5; // last readings looked at
const AGREEING = 4; // of them

/** Why the camera cannot be used here, or null. */
export function whyOff() {
  if (!window.isSecureContext) {
    return `Browsers allow the camera only over HTTPS or on the machine itself, and this page came over ${location.protocol}//${location.host}. Ask whoever runs the service for an https:// address. Drawing and pictures work all the same.`;
  }
  return navigator.mediaDevices?.getUserMedia ? null : "This browser has no camera access. Drawing and pictures work all the same.";
}

/** What a refusal of the browser means. */
export function explainRefusal(error) {
  if (error.name === "NotAllowedError") return "The camera was not allowed. Allow it in the address bar and start again.";
  if (error.name === "NotFoundError") return "No camera was found.";
  return "The camera could not be started; another program may be using it.";
}

/** Show the camera in `video` and hand a picture to `read` again and again until `signal` ends it. */
export async function watch(video, read, signal) {
  const constraints = { video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } };
  const stream = await navigator.mediaDevices.getUserMedia(constraints);
  try {
    video.srcObject = stream;
    await video.play();
    while (!signal.aborted) {
      if (!document.hidden) await read(await picture(video));
      await pause(PAUSE, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    video.srcObject = null;
    stream.getTracks().forEach((track) => track.stop());
  }
}

/** What lies inside the frame, as a JPEG. */
function picture(video) {
  const side = Math.min(video.videoWidth, video.videoHeight) * FRAME;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SENT;
  const [left, top] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2];
  canvas.getContext("2d").drawImage(video, left, top, side, side, 0, 0, SENT, SENT);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

/** Tells whether the readings of the last frames agree. */
export class Steadiness {
  #last = [];

  /** Take in a reading and say whether it is one that most of the last frames share. */
  add({ digit, decision }) {
    this.#last = [...this.#last, `${digit} ${decision === "reject"}`].slice(-WINDOW);
    const same = this.#last.filter((reading) => reading === this.#last.at(-1));
    return same.length >= AGREEING;
  }
}
