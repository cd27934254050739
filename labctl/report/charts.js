(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ink = colour("--ink"), soft = colour("--soft"), rule = colour("--rule"), wash = colour("--wash");
  const accent = colour("--accent"), pale = colour("--pale"), alert = colour("--alert");
  const font = {family: style.getPropertyValue("--sans"), size: 12, color: soft};
  const config = {displayModeBar: false, responsive: true};
  const LOOKS = {
    plan: {color: soft, width: 1.2, dash: "4px,3px"},
    setpoint: {color: pale, width: 1.4},
    oven: {color: ink, width: 1.4},
    furnace: {color: accent, width: 1.6},
  };
  const axis = (more) => ({
    showgrid: true, gridcolor: rule, gridwidth: 1, zeroline: false, linecolor: rule, ticks: "",
    fixedrange: true, tickfont: {size: 11}, ...more,
  });
  const narrow = () => window.innerWidth < 640;

  function traces(panel, yaxis, hover) {
    return panel.map((t) => ({
      type: "scatter", mode: "lines", name: t.name, x: t.x, y: t.y, xaxis: "x", yaxis,
      line: {...LOOKS[t.role], shape: t.role === "plan" && yaxis !== "y" ? "hv" : "linear"},
      connectgaps: false, legend: "legend", showlegend: yaxis === "y", hovertemplate: hover,
    }));
  }

  function drawProcess(process) {
    const {temperature, flow, oxygen} = process.panels;
    const all = [
      ...traces(temperature, "y", "%{y:.1f} °C"), ...traces(flow, "y2", "%{y:.0f} sccm"),
      ...traces(oxygen, "y3", "%{y:.3~g} ppm"),
    ];
    const small = narrow();
    const bands = process.steps.map((s, i) => ({
      type: "rect", xref: "x", yref: "paper", x0: s.from, x1: s.to, y0: 0, y1: 1, layer: "below",
      fillcolor: i % 2 ? "rgba(0,0,0,0)" : wash, line: {width: 0},
    }));
    const marks = process.marks.map((m) => ({
      type: "line", xref: "x", yref: "paper", x0: m.at, x1: m.at, y0: 0, y1: 1, line: {color: alert, width: 1.2},
    }));
    const labels = process.steps
      .filter((s) => (s.to - s.from) / process.hours > (small ? 0.09 : 0.035))
      .map((s) => ({
        xref: "x", yref: "paper", x: (s.from + s.to) / 2, y: 1, yanchor: "bottom", text: s.id, showarrow: false,
        font: {size: small ? 9 : 11, color: soft}, yshift: 2,
      }));
    const title = (text, y) => ({
      xref: "paper", yref: "paper", x: 0, y, xanchor: "left", yanchor: "top", showarrow: false, text,
      font: {size: 11, color: soft}, xshift: 5, yshift: -3, bgcolor: "rgba(255,255,255,.75)",
    });
    const panels = [[0.47, 1], [0.25, 0.41], [0, 0.19]];
    const limits = process.oxygen_below_ppm && oxygen.length ? [{
      type: "line", xref: "paper", yref: "y3", x0: 0, x1: 1, y0: process.oxygen_below_ppm, y1: process.oxygen_below_ppm,
      line: {color: soft, width: 1.2, dash: "4px,3px"},
    }] : [];
    Plotly.newPlot("process", all, {
      font, hovermode: "x unified", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: {l: 46, r: 10, t: 26, b: small ? 120 : 72}, shapes: [...bands, ...limits, ...marks],
      annotations: [...labels, title("temperature / °C", 1), title("nitrogen / sccm", 0.41), title("oxygen / ppm", 0.19)],
      legend: {orientation: "h", x: 0, xanchor: "left", y: 0, yanchor: "top", yref: "paper", font: {size: 11},
               ...(small ? {yshift: 0} : {})},
      xaxis: axis({title: {text: "hours since the start", font: {size: 11}, standoff: 6}, anchor: "y3", range: [0, process.hours],
                   nticks: small ? 6 : 14, hoverformat: ".2f", ticksuffix: "", unifiedhovertitle: {text: "%{x} h"}}),
      yaxis: axis({domain: panels[0], rangemode: "tozero"}),
      yaxis2: axis({domain: panels[1], rangemode: "tozero", nticks: 4}),
      yaxis3: axis({domain: panels[2], type: "log", nticks: 5, dtick: 2, exponentformat: "power"}),
    }, config);
  }

  function mix(a, b, t) {
    const parse = (h) => [1, 3, 5].map((i) => parseInt(h.slice(i, i + 2), 16));
    const [p, q] = [parse(a), parse(b)];
    return `rgb(${p.map((v, i) => Math.round(v + (q[i] - v) * t)).join(",")})`;
  }

  function drawCell(cell) {
    const all = cell.traces.map((t) => ({
      type: "scatter", mode: "lines", name: t.name, x: t.x, y: t.y, showlegend: t.direction === "discharge",
      line: {color: mix(accent, pale, t.age), width: 1.6}, hovertemplate: `%{y:.3f} V, %{x:.1f} ${cell.unit}`,
    }));
    for (const t of all) t.name = t.name.replace(", discharge", "");
    Plotly.newPlot("cell", all, {
      font, hovermode: "closest", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: {l: 46, r: 10, t: 8, b: 44},
      legend: {x: 0.5, xanchor: "center", y: 0.06, yanchor: "bottom", orientation: "h", font: {size: 11}},
      xaxis: axis({title: {text: `capacity / ${cell.unit}`, font: {size: 11}}, rangemode: "tozero"}),
      yaxis: axis({title: {text: "voltage / V", font: {size: 11}}}),
    }, config);
  }

  function draw() {
    if (document.getElementById("process")) drawProcess(data.process);
    if (data.cell) drawCell(data.cell);
  }
  draw();
  matchMedia("(max-width: 640px)").addEventListener("change", draw);
  addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach((c) => Plotly.Plots.resize(c)));
})();
