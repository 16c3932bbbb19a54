// The camera of a page: opened by the button in its box, off as soon as nobody looks.
import { pickDecoder } from "./decoder.js";

const PAUSE_MS = 120;
// Where the light is on the back of the phone, and a device without two cameras takes what it has.
const WANTED = { video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } };

// Returns {say, start, stop, isOn}. say: one of the box's words, by name. look: is given decoder and video,
// again and again while the camera is on. looking: the word that is said then. stopped: called each time.
export function cameraIn(box, { look, looking, stopped = () => undefined }) {
  const video = box.querySelector("video");
  const told = document.getElementById("camera-told");
  const button = box.querySelector("button");
  let stream = null;

  function say(name) {
    told.textContent = box.dataset[name] ?? "";
  }

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    box.classList.remove("camera-on");
    button.hidden = false;
    stopped();
  }

  async function start() {
    button.hidden = true;
    say("starting");
    try {
      stream = await navigator.mediaDevices.getUserMedia(WANTED);
    } catch (refused) {
      button.hidden = false;
      return say(refused.name === "NotAllowedError" ? "denied" : "none");
    }
    video.srcObject = stream;
    box.classList.add("camera-on");
    await video.play();
    const decoder = await pickDecoder(box.dataset);
    say(looking);
    while (stream !== null) {
      await look(decoder, video);
      await new Promise((resolve) => setTimeout(resolve, decoder.pauseMs ?? PAUSE_MS));
    }
  }

  box.hidden = false;
  button.addEventListener("click", start);
  document.addEventListener("visibilitychange", () => document.hidden && stop());
  addEventListener("pagehide", stop);
  return { say, start, stop, isOn: () => stream !== null };
}
