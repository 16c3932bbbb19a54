// The page of a made-up shop: its goods in the order that the ranking API gives, and its badge, checked.
import { verifyBadge } from "./badge.js";

const config = await (await fetch("config.json")).json();

async function showBadge() {
  const address = `${config.suxin}/badge/${config.party}`;
  const asked = `domain=${encodeURIComponent(config.domain)}`;
  const link = document.getElementById("badge");
  link.href = `${address}?${asked}`;
  link.querySelector("img").src = `${address}.svg?${asked}`;
  const told = document.getElementById("checked");
  try {
    const answer = await fetch(`${address}.json?${asked}`);
    if (answer.status === 404) throw new Error(`there is no badge for ${config.domain}`);
    if (!answer.ok) throw new Error(`Suxin answered ${answer.status}`);
    const claim = await verifyBadge(await answer.json(), { key: config.key, host: location.host });
    told.className = "right";
    told.textContent =
      `标识核对无误：${claim.name}，等级 ${claim.grade}，${claim.expires_at} 前有效。` +
      ` The badge checks: grade ${claim.grade}.`;
  } catch (err) {
    told.className = "wrong";
    told.textContent = `标识核对不通过！ The badge does NOT check: ${err.message}.`;
  }
}

// The shop's own server asks the ranking API: the API key must never be in a page. Where Suxin ranks nothing,
// the goods stand in the shop's own order, and the page says why.
async function showGoods() {
  const answer = await fetch("rank", { method: "POST" });
  const ranked = await answer.json();
  const told = document.getElementById("ranked");
  told.hidden = !ranked.refused;
  told.textContent = `按本店自己的顺序，没有排序。 In the shop's own order, not ranked: ${ranked.refused}`;
  document.getElementById("goods").replaceChildren(
    ...ranked.items.map((item) => {
      const entry = document.createElement("li");
      const why = item.why.map((one) => one.text).join(" ");
      entry.append(item.title, document.createElement("br"));
      entry.append(Object.assign(document.createElement("small"), { textContent: why }));
      return entry;
    }),
  );
}

await Promise.all([showBadge(), showGoods()]);
