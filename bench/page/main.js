"use strict";
// The page: fills each section that there is something for.

const data = JSON.parse(document.getElementById("data").textContent);
const section = (name) => {
  const found = document.getElementById(name);
  found.hidden = false;
  return found;
};
const options = (select, entries) => select.replaceChildren(...entries.map(([text, value]) => new Option(text, value)));
const fixed = (number, digits) => (number === null || number === undefined ? null : [number, number.toFixed(digits)]);

document.getElementById("about").textContent = data.about;

if (data.curves.length) {
  const box = section("curves");
  const chart = new Chart(box.querySelector(".chart"), "Rate-distortion curves");
  const metric = box.querySelector("#metric"), limit = box.querySelector("#max-rate");
  const known = data.metrics.filter((one) => data.curves.some((curve) => curve.points.some((point) => point[one.key] != null)));
  options(metric, known.map((one) => [one.label, one.key]));
  options(limit, [["0.5", 0.5], ["1", 1], ["2", 2], ["all", Infinity]]);
  limit.value = "2";
  const show = () => {
    const { key, label, digits } = known.find((one) => one.key === metric.value);
    chart.show(data.curves.map((curve, colour) => ({
      ...curve,
      colour,
      points: curve.points.filter((point) => point[key] != null && point.bpp <= Number(limit.value)).map((point) => [
        point.bpp,
        point[key],
        `${point.bpp.toFixed(3)} bpp\n${point[key].toFixed(digits)} ${label}` + (point.setting == null ? "" : `\nsetting ${point.setting}`),
      ]),
    })).filter((curve) => curve.points.length), "bits per pixel", label);
  };
  metric.addEventListener("change", show);
  limit.addEventListener("change", show);
  show();
}

if (data.bdrate.rows.length) {
  const box = section("bdrate");
  box.querySelector(".note").textContent = data.bdrate.note;
  fillTable(box.querySelector("table"), ["codec", data.bdrate.band, "common range", "over", ""],
    data.bdrate.rows.map((row) => [row.name, percent(row.band), percent(row.common), row.over ?? "", row.note ?? ""]));
}
function percent(number) {
  return number == null ? null : [number, `${number > 0 ? "+" : ""}${number.toFixed(1)} %`];
}

if (data.generations.length) {
  const box = section("generations");
  const chart = new Chart(box.querySelector(".chart"), "Generation loss");
  const schedule = box.querySelector("#schedule"), measure = box.querySelector("#generation-measure");
  options(schedule, data.generations.map((panel, i) => [panel.label, i]));
  const measures = { loss: "PSNR gained or lost (dB)", psnr: "PSNR against the original (dB)", first: "PSNR against generation 1 (dB)", bytes: "bytes" };
  options(measure, Object.entries(measures).map(([key, label]) => [label, key]));
  const show = () => chart.show(data.generations[schedule.value].series.map((one, colour) => ({
    name: one.name,
    colour,
    points: one.points.filter((point) => point[measure.value] != null).map((point) => [
      point.generation, point[measure.value],
      `generation ${point.generation}, setting ${point.setting}\n${point[measure.value].toFixed(measure.value === "bytes" ? 0 : 3)} ${measure.value === "bytes" ? "bytes" : "dB"}`,
    ]),
  })), "generation", measures[measure.value]);
  schedule.addEventListener("change", show);
  measure.addEventListener("change", show);
  show();
  fillTable(box.querySelector("table"), ["codec and settings", "generation 1", "last", "change", "bytes", "same file", "same latent"],
    data.generations.flatMap((panel) => panel.series.map((one) => [
      one.name, fixed(one.first, 2), fixed(one.last, 2), fixed(one.change, 2), percent(one.growth), one.files, one.latents,
    ])));
}

if (data.pictures.length) new Viewer(section("viewer"), data.pictures);

if (data.speed.length) {
  const spread = (times) => times && times.length ? [times[1], `${times[1].toPrecision(3)} (${times[0].toPrecision(3)}–${times[2].toPrecision(3)})`] : null;
  fillTable(section("speed").querySelector("table"),
    ["codec", "threads", "MP", "bpp", "encode", "decode", "encode, process", "decode, process", "B/px encode", "B/px decode", ""],
    data.speed.map((row) => [
      row.codec, row.threads, row.megapixels, fixed(row.bpp, 2), spread(row.encode), spread(row.decode),
      spread(row.process_encode), spread(row.process_decode), fixed(row.memory_encode, 0), fixed(row.memory_decode, 0), row.note ?? "",
    ]));
}

if (data.sources.length) {
  const box = section("sources");
  fillTable(box.querySelector("table"), ["curve", "what", "version or source", "date", "machine"],
    data.sources.map((row) => [row.name, row.description, row.version, row.date, row.machine]));
  // below the table: in a cell of it they would make every row as high as a phone
  const commands = new Set(data.sources.map((row) => row.command).filter(Boolean));
  box.append(...[...commands].map((text) => Object.assign(document.createElement("pre"), { textContent: text })));
}
