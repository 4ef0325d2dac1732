"use strict";
// The page of a comparison: the viewer, two tables, and of each band a map of z and its histogram.

const data = JSON.parse(document.getElementById("data").textContent);
const section = (name) => document.getElementById(name);
const fixed = (number, digits) => (number === null ? null : [number, number.toFixed(digits)]);
const signed = (number) => [number, `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(3)}`];
const { facts } = data;

document.getElementById("about").textContent =
  `${facts.width} × ${facts.height} pixels, quality ${facts.quality}, ${facts.bytes.toLocaleString("en")} bytes, ${facts.bpp.toFixed(4)} bits per pixel.`;
section("notes").replaceChildren(...data.notes.map((text) => Object.assign(document.createElement("li"), { textContent: text })));

const maps = data.bands.map((band) => ({ name: `z, ${band.name}`, caption: `z, ${band.name}: grey is 0, black −4, white 4`, uri: band.uri }));
new Viewer(section("viewer"), [{ ...data.picture, versions: [...data.picture.versions, ...maps] }]);

fillTable(section("scores").querySelector("table"), ["", "PSNR (dB)", "MS-SSIM", "SSIMULACRA2"],
  facts.scores.map((row) => [
    `T = ${row.temperature}`, row.psnr === null ? "the same" : fixed(row.psnr, 2), fixed(row.ms_ssim, 4), fixed(row.ssimulacra2, 1),
  ]));
fillTable(section("bands").querySelector("table"),
  ["band", "is", "channels", "mean", "deviation", "with what is kept", "with neighbours"],
  facts.bands.map((row) => [
    row.band, row.dropped ? "dropped" : "kept", row.channels, signed(row.mean), fixed(row.deviation, 3), fixed(row.correlation, 3), signed(row.neighbours),
  ]));

const normal = data.centres.map((x) => [x, Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)]);
for (const [index, band] of data.bands.entries()) {
  const figure = document.createElement("figure");
  const image = Object.assign(new Image(), { src: band.uri, alt: `map of z, ${band.name}` });
  const box = Object.assign(document.createElement("div"), { className: "chart" });
  const side = document.createElement("div");
  side.append(box);
  figure.append(Object.assign(document.createElement("figcaption"), { textContent: band.name }), image, side);
  document.getElementById("maps").append(figure);
  const tip = ([x, y]) => [x, y, `${y.toFixed(3)} at ${x.toFixed(2)}`];
  new Chart(box, `Histogram of z, ${band.name}, and the normal density`).show([
    { name: "z", colour: 0, points: band.histogram.map((y, i) => tip([data.centres[i], y])) },
    { name: "normal", colour: 1, dashed: true, points: normal.map(tip) },
  ], "z", "density");
}
