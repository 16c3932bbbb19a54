// The camera page. Without this there is the photo and the line to type in; the camera comes on top.
import { pickDecoder } from "./decoder.js";

const box = document.getElementById("camera");
const video = box.querySelector("video");
const told = document.getElementById("camera-told");
const button = box.querySelector("button");
const found = document.getElementById("found");

const PAUSE_MS = 120;

let stream = null;

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  box.classList.remove("camera-on");
  button.hidden = false;
}

function say(name) {
  told.textContent = box.dataset[name] ?? "";
}

// Where the light is on the back of the phone, and a device without two cameras takes what it has.
const WANTED = { video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } };

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
  const decode = await pickDecoder(box.dataset);
  say("looking");
  await watch(decode);
}

async function watch({ decode, pauseMs = PAUSE_MS }) {
  while (stream !== null) {
    const text = await decode(video).catch(() => "");
    if (text && stream !== null) {
      say("found");
      stop();
      button.hidden = true;
      found.elements.text.value = text;
      return found.submit();
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

if (navigator.mediaDevices?.getUserMedia) {
  box.hidden = false;
  button.addEventListener("click", start);
  // A camera that nobody looks at is off.
  document.addEventListener("visibilitychange", () => document.hidden && stop());
  addEventListener("pagehide", stop);
  // A page that the browser kept, come back to: ready for the next label.
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      say("");
      button.hidden = false;
    }
  });
  // Who has allowed it before need not ask for it again.
  navigator.permissions?.query({ name: "camera" }).then(
    (answer) => answer.state === "granted" && start(),
    () => undefined,
  );
}

if (box.hidden) box.classList.add("camera-none");

// A photo that was chosen is sent: one touch less. Smaller, where the browser can make it so: it is quicker
// on a bad line, and what the phone wrote into the file (place, time) does not leave it.
const photo = document.getElementById("photo");
photo.addEventListener("change", async () => {
  if (!photo.files.length) return;
  try {
    photo.files = await smaller(photo.files[0]);
  } catch {
    // As it is, then.
  }
  photo.form.requestSubmit();
});

const SIDE = 2000;

async function smaller(file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const made = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
  const held = new DataTransfer();
  held.items.add(new File([made], "photo.jpg", { type: "image/jpeg" }));
  return held.files;
}
