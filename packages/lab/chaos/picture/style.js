// @ts-check
// How the picture looks: on paper of its own, so that it reads the same on a light page and on a dark one.

export const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .quiet { fill: #59636e; }
  .word { font-size: 11px; fill: #59636e; stroke: #f3f5f7; stroke-width: 3px; paint-order: stroke; }
  .kill-word { fill: #cf222e; }
  .minted-word { fill: #0969da; }
  .unknown-word { fill: #9a6700; }
  .strong, .end-word { fill: #1f2328; font-weight: 600; }
  .paper { fill: #ffffff; stroke: #d1d9e0; }
  .lane { fill: #f3f5f7; }
  .close { fill: #ffe9a8; opacity: 0.7; }
  .active { fill: #4ac26b; }
  .minted { fill: #0969da; }
  .inactive { fill: #59636e; }
  .end { fill: #1f2328; }
  .unknown { fill: #ffffff; stroke: #bf8700; }
  .starved { fill: #ffd8d3; opacity: 0.4; }
  .away { fill: #ffd8d3; }
  .kill { stroke: #cf222e; stroke-width: 2; fill: none; }
  .over { stroke: #1f2328; stroke-width: 1.5; stroke-dasharray: 4 3; }
  .grid { stroke: #afb8c1; }
`;
