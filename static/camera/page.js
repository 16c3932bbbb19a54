// The camera page. Without this there is the photo and the line to type in; the camera comes on top.
import { cameraIn } from "./camera.js";

const box = document.getElementById("camera");
const button = box.querySelector("button");
const found = document.getElementById("found");

if (navigator.mediaDevices?.getUserMedia) {
  const camera = cameraIn(box, {
    looking: "looking",
    look: async ({ decode }, video) => {
      const text = await decode(video).catch(() => "");
      if (!text || !camera.isOn()) return;
      camera.say("found");
      camera.stop();
      button.hidden = true;
      found.elements.text.value = text;
      found.submit();
    },
  });
  // A page that the browser kept, come back to: ready for the next label.
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      camera.say("");
      button.hidden = false;
    }
  });
  // Who has allowed it before need not ask for it again.
  navigator.permissions?.query({ name: "camera" }).then(
    (answer) => answer.state === "granted" && camera.start(),
    () => undefined,
  );
} else box.classList.add("camera-none");

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
