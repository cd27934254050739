(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ink = colour("--ink"), soft = colour("--soft"), rule = colour("--rule"), wash = colour("--wash");
  const accent = colour("--accent"), pale = colour("--pale"), alert = colour("--alert"), plan = colour("--plan"), paper = colour("--paper");
  const font = {family: colour("--sans"), size: 12, color: soft};
  const config = {displayModeBar: false, responsive: true};
  const bare = {font, paper_bgcolor: paper, plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
                hoverlabel: {bgcolor: paper, bordercolor: rule, font: {...font, color: ink}}};
  const LINES = {
    plan: {color: plan, width: 6},
    setpoint: {color: pale, width: 1},
    monitor: {color: soft, width: 1, dash: "1px,3px"},
    limit: {color: soft, width: 1.3, dash: "4px,4px"},
    oven: {color: ink, width: 1.5},
    furnace: {color: accent, width: 1.8},
  };
  const UNITS = {temperature: "%{y:.1f} °C", flow: "%{y:.0f} sccm", oxygen: "%{y:.3~r} ppm"};
  const PANELS = {temperature: ["y", [0.46, 1]], flow: ["y2", [0.24, 0.40]], oxygen: ["y3", [0, 0.18]]};

  const axis = (more) => ({
    showgrid: true, gridcolor: rule, zeroline: false, fixedrange: true, tickfont: {size: 11}, ...more,
  });
  const paperText = (text, y) => ({
    xref: "paper", yref: "paper", x: 0, y, xanchor: "left", yanchor: "bottom", showarrow: false, text,
    font: {size: 11, color: ink},
  });
  const rect = (x0, x1, [y0, y1], fill) => ({
    type: "rect", xref: "x", yref: "paper", x0, x1, y0, y1, layer: "below", fillcolor: fill, line: {width: 0},
  });

  function drawProcess(process) {
    const small = window.innerWidth < 640;
    const lines = Object.entries(process.panels).flatMap(([panel, all]) => all.map((t) => ({
      type: "scatter", mode: "lines", name: t.name, x: t.x, y: t.y, xaxis: "x", yaxis: PANELS[panel][0],
      line: LINES[t.look], connectgaps: false, hovertemplate: UNITS[panel],
    })));
    const hottest = Math.max(50, ...process.panels.temperature.flatMap((t) => t.y.filter((v) => v !== null)));
    const marks = process.marks.map((m) => ({
      type: "line", xref: "x", yref: "paper", x0: m.at, x1: m.at, y0: 0, y1: 1,
      line: {color: alert, width: 1, dash: "2px,2px"},
    }));
    if (marks.length) lines.push({
      type: "scatter", mode: "markers", name: "", x: process.marks.map((m) => m.at), yaxis: "y",
      y: process.marks.map(() => 0), text: process.marks.map((m) => m.text),
      marker: {symbol: "triangle-up", size: 10, color: alert}, cliponaxis: false, hovertemplate: "%{text}",
    });
    const seen = process.steps.filter((s) => (s.to - s.from) / process.until > 0.01);
    const bands = seen.filter((_, i) => i % 2 === 0).flatMap((s) =>
      Object.values(PANELS).map(([, domain]) => rect(s.from, s.to, domain, wash)));
    const names = seen
      .filter((s) => (s.to - s.from) / process.until > (small ? 0.11 : 0.05))
      .map((s) => ({
        xref: "x", yref: "paper", x: (s.from + s.to) / 2, y: 1, yanchor: "top", yshift: -2, text: s.id,
        showarrow: false, font: {size: small ? 9 : 11, color: soft},
      }));
    const limit = process.oxygen_below_ppm && process.panels.oxygen.length ? [{
      type: "line", xref: "paper", yref: "y3", x0: 0, x1: 1, y0: process.oxygen_below_ppm,
      y1: process.oxygen_below_ppm, line: LINES.limit,
    }] : [];
    const titles = [["Temperature, °C", "temperature"], ["Nitrogen, sccm", "flow"], ["Oxygen, ppm", "oxygen"]];
    Plotly.newPlot("process", lines, {
      ...bare, hovermode: "x unified", hoversubplots: "axis", shapes: [...bands, ...limit, ...marks],
      margin: {l: 42, r: 8, t: 22, b: 40},
      annotations: [...names, ...titles.map(([text, panel]) => paperText(text, PANELS[panel][1][1] + 0.005))],
      xaxis: axis({
        title: {text: `${process.unit} since the start`, font: {size: 11}, standoff: 8}, anchor: "y3",
        range: [0, process.until], dtick: !small && process.unit === "hours" && process.until > 36 ? 12 : undefined, nticks: 7,
        unifiedhovertitle: {text: `%{x:.2f} ${process.unit}`},
      }),
      yaxis: axis({domain: PANELS.temperature[1], range: [0, hottest * 1.12]}),
      yaxis2: axis({domain: PANELS.flow[1], rangemode: "tozero", nticks: 4}),
      yaxis3: axis({domain: PANELS.oxygen[1], type: "log", dtick: 2, exponentformat: "power"}),
    }, config);
  }

  function between(from, to, share) {
    const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    const [a, b] = [parts(from), parts(to)];
    return `rgb(${a.map((v, i) => Math.round(v + (b[i] - v) * share)).join(",")})`;
  }

  function drawCell(cell) {
    const lines = cell.traces.map((t) => ({
      type: "scatter", mode: "lines", name: t.name, x: t.x, y: t.y,
      line: {color: between(accent, pale, t.age), width: t.age === 0 ? 2 : 1.4},
      hovertemplate: `%{y:.3f} V at %{x:.1f} ${cell.unit}`,
    }));
    Plotly.newPlot("cell", lines, {
      ...bare, hovermode: "closest", margin: {l: 42, r: 8, t: 22, b: 40},
      annotations: [paperText("Voltage, V", 1.005)],
      xaxis: axis({title: {text: `capacity, ${cell.unit}`, font: {size: 11}, standoff: 8}, rangemode: "tozero"}),
      yaxis: axis({}),
    }, config);
  }

  function draw() {
    if (document.getElementById("process")) drawProcess(data.process);
    if (data.cell) drawCell(data.cell);
  }
  draw();
  matchMedia("(max-width: 640px)").addEventListener("change", draw);
  // A page of A4 between its margins, in CSS pixels: the print layout is not known yet when this must be drawn.
  const PRINTED = {width: 680, tall: 372, usual: 240};
  const charts = (change) => document.querySelectorAll(".js-plotly-plot").forEach((c) => Plotly.relayout(c, change(c)));
  addEventListener("beforeprint", () => charts((c) => ({
    autosize: false, width: PRINTED.width, height: c.matches(".tall") ? PRINTED.tall : PRINTED.usual,
  })));
  addEventListener("afterprint", () => charts(() => ({autosize: true, width: null, height: null})));
})();
