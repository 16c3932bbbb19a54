// What reads a video's picture: the browser itself, else the decoder that this service serves, else the
// service. Each is {decode: async (video) => text or "", all: async (video) => texts, pauseMs}.

const FORMATS = ["qr_code", "data_matrix"];
// With the goods' own bar code, or with what carriers print on a waybill.
const LINEAR = { goods: ["ean_13"], waybill: ["code_128", "code_39"] };
// The decoder's own names of them.
const NAMES = {
  qr_code: "QRCode", data_matrix: "DataMatrix", ean_13: "EAN13", code_128: "Code128", code_39: "Code39",
};
const READ = { tryHarder: true, maxNumberOfSymbols: 4 };
const SENT_WIDTH = 960;
const SENT_QUALITY = 0.8;

export async function pickDecoder({ decoder, ask, linear = "goods" }) {
  const wanted = [...FORMATS, ...LINEAR[linear]];
  return (await ownDecoder(wanted)) ?? (await servedDecoder(decoder, wanted)) ?? askingDecoder(ask);
}

async function ownDecoder(wanted) {
  if (!("BarcodeDetector" in globalThis)) return null;
  try {
    const known = await BarcodeDetector.getSupportedFormats();
    const formats = wanted.filter((one) => known.includes(one));
    // One that cannot read our labels is none, nor one that reads no waybill where one is wanted.
    const needed = wanted.includes("code_128") ? [...FORMATS, "code_128"] : FORMATS;
    if (!needed.every((one) => formats.includes(one))) return null;
    const detector = new BarcodeDetector({ formats });
    return reader((video) => detector.detect(video));
  } catch {
    return null;
  }
}

async function servedDecoder(path, wanted) {
  if (!path) return null;
  try {
    const { readBarcodes, prepareZXingModule } = await import(`${path}/es/reader/index.js`);
    // Left to itself it would fetch its program from somebody else's host.
    const locateFile = (name) => `${path}/reader/${name}`;
    await prepareZXingModule({ overrides: { locateFile }, fireImmediately: true });
    const canvas = document.createElement("canvas");
    const options = { ...READ, formats: wanted.map((one) => NAMES[one]) };
    return reader(async (video) => {
      const picture = draw(canvas, video, video.videoWidth);
      return picture === null ? [] : readBarcodes(picture(), options);
    });
  } catch {
    return null;
  }
}

function askingDecoder(path) {
  const canvas = document.createElement("canvas");
  return {
    ...reader(async (video) => {
      if (draw(canvas, video, Math.min(SENT_WIDTH, video.videoWidth)) === null) return [];
      const photo = await new Promise((done) => canvas.toBlob(done, "image/jpeg", SENT_QUALITY));
      const form = new FormData();
      form.append("photo", photo, "frame.jpg");
      const headers = { Accept: "application/json" };
      const answer = await fetch(path, { method: "POST", body: form, headers });
      // It tells them in the order in which `best` would.
      return answer.ok ? (await answer.json()).texts.map((text) => ({ format: "", text })) : [];
    }),
    pauseMs: 1000,
  };
}

function reader(look) {
  return {
    decode: async (video) => best(await look(video)),
    all: async (video) => (await look(video)).map((one) => one.rawValue ?? one.text).filter(Boolean),
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
