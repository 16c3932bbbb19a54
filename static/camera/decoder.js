// What reads a video's picture: the browser itself, else the decoder that this service serves, else the
// service. Each is {decode: async (video) => text or "", pauseMs}.

const FORMATS = ["qr_code", "data_matrix", "ean_13"];
// The decoder's own names of them.
const READ = { formats: ["QRCode", "DataMatrix", "EAN13"], tryHarder: true, maxNumberOfSymbols: 4 };
const SENT_WIDTH = 960;
const SENT_QUALITY = 0.8;

export async function pickDecoder({ decoder, ask }) {
  return (await ownDecoder()) ?? (await servedDecoder(decoder)) ?? askingDecoder(ask);
}

async function ownDecoder() {
  if (!("BarcodeDetector" in globalThis)) return null;
  try {
    const known = await BarcodeDetector.getSupportedFormats();
    const formats = FORMATS.filter((one) => known.includes(one));
    // One that cannot read our labels is none.
    if (!formats.includes("qr_code") || !formats.includes("data_matrix")) return null;
    const detector = new BarcodeDetector({ formats });
    return { decode: async (video) => best(await detector.detect(video)) };
  } catch {
    return null;
  }
}

async function servedDecoder(path) {
  if (!path) return null;
  try {
    const { readBarcodes, prepareZXingModule } = await import(`${path}/es/reader/index.js`);
    // Left to itself it would fetch its program from somebody else's host.
    const locateFile = (name) => `${path}/reader/${name}`;
    await prepareZXingModule({ overrides: { locateFile }, fireImmediately: true });
    const canvas = document.createElement("canvas");
    return {
      decode: async (video) => {
        const picture = draw(canvas, video, video.videoWidth);
        return picture === null ? "" : best(await readBarcodes(picture(), READ));
      },
    };
  } catch {
    return null;
  }
}

function askingDecoder(path) {
  const canvas = document.createElement("canvas");
  return {
    pauseMs: 1000,
    decode: async (video) => {
      if (draw(canvas, video, Math.min(SENT_WIDTH, video.videoWidth)) === null) return "";
      const photo = await new Promise((done) => canvas.toBlob(done, "image/jpeg", SENT_QUALITY));
      const form = new FormData();
      form.append("photo", photo, "frame.jpg");
      const headers = { Accept: "application/json" };
      const answer = await fetch(path, { method: "POST", body: form, headers });
      return answer.ok ? (await answer.json()).text : "";
    },
  };
}

// Returns how to get the picture's points, null while the video has none.
function draw(canvas, video, width) {
  if (!video.videoWidth) return null;
  canvas.width = width;
  canvas.height = Math.round((video.videoHeight * width) / video.videoWidth);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  return () => context.getImageData(0, 0, canvas.width, canvas.height);
}

// The goods' own bar code often stands beside the label, and says less.
function best(found) {
  const texts = found.map((one) => [/^ean/i.test(one.format), one.rawValue ?? one.text]);
  texts.sort(([one], [other]) => Number(one) - Number(other));
  return texts.find(([, text]) => text)?.[1] ?? "";
}
