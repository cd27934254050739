(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ink = colour("--ink"), soft = colour("--soft"), rule = colour("--rule"), wash = colour("--wash");
  const accent = colour("--accent"), pale = colour("--pale"), alert = colour("--alert"), paper = colour("--paper");
  const font = {family: colour("--sans"), size: 12, color: soft};
  const LINES = {
    furnace: {color: accent, width: 1.8},
    oven: {color: ink, width: 1.5},
    monitor: {color: soft, width: 1, dash: "1px,3px"},
  };
  const ms = (text) => Date.parse(text.replace(" ", "T") + "Z");
  const whole = ms(data.to) - ms(data.from);
  const steps = data.bars.map((b) => b.id);
  const split = 12 * steps.length / (12 * steps.length + 130);

  const curves = data.curves.map((c) => ({
    type: "scatter", mode: "lines", name: c.name, x: c.x, y: c.y, yaxis: "y", line: LINES[c.look],
    connectgaps: false, hovertemplate: "%{y:.0f} °C",
  }));
  // a bar of no length is still to be seen
  const bars = {
    type: "bar", orientation: "h", y: steps, base: data.bars.map((b) => b.from), yaxis: "y2", width: 0.56,
    x: data.bars.map((b) => Math.max(ms(b.to) - ms(b.from), whole / 400)), marker: {color: pale},
    text: data.bars.map((b) => b.text), textposition: "none", hovertemplate: "%{text}<extra></extra>",
  };
  const calls = {
    type: "scatter", mode: "markers", x: data.calls.map((c) => c.at), y: data.calls.map((c) => c.step), yaxis: "y2",
    text: data.calls.map((c) => c.text), hovertemplate: "%{text}<br>%{x|%a %H:%M}<extra></extra>", cliponaxis: false,
    marker: {
      symbol: "diamond", size: 8, color: data.calls.map((c) => c.staffed ? paper : alert),
      line: {width: 1.4, color: data.calls.map((c) => c.staffed ? accent : alert)},
    },
  };
  const hottest = Math.max(50, ...data.curves.flatMap((c) => c.y.filter((v) => v !== null)));
  const axis = (more) => ({showgrid: true, gridcolor: rule, zeroline: false, fixedrange: true, tickfont: {size: 11}, ...more});
  const small = () => window.innerWidth < 640;

  function draw() {
    Plotly.newPlot("gantt", [...curves, bars, calls], {
      font, paper_bgcolor: paper, plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
      hoverlabel: {bgcolor: paper, bordercolor: rule, font: {...font, color: ink}},
      margin: {l: small() ? 84 : 104, r: 10, t: 22, b: 44},
      shapes: data.nights.map(([x0, x1]) => ({
        type: "rect", xref: "x", yref: "paper", x0, x1, y0: 0, y1: 1, layer: "below", fillcolor: wash, line: {width: 0},
      })),
      annotations: [{
        xref: "paper", yref: "paper", x: 0, y: 1.005, xanchor: "left", yanchor: "bottom", showarrow: false,
        text: "Temperature, °C", font: {size: 11, color: ink},
      }],
      xaxis: axis({
        type: "date", range: [ms(data.from) - whole / 60, ms(data.to) + whole / 100], anchor: "y2", nticks: small() ? 4 : 12,
        tickformatstops: [
          {dtickrange: [null, 43200000], value: "%H:%M\n%a %-d %b"}, {dtickrange: [43200000, null], value: "%a %-d\n%H:%M"},
        ],
      }),
      yaxis: axis({domain: [split + 0.04, 1], range: [0, hottest * 1.08]}),
      yaxis2: axis({domain: [0, split], type: "category", categoryarray: steps, categoryorder: "array", autorange: "reversed",
                    tickfont: {size: 11, color: ink}}),
    }, {displayModeBar: false, responsive: true});
  }
  draw();
  matchMedia("(max-width: 640px)").addEventListener("change", draw);
})();
