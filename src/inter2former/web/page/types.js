// @ts-check
// The shapes that travel between page and server; docs/annotator-protocol.md is the text.

/**
 * @typedef {[number, number, number, number]} Box left, top, right, bottom in original pixels; right, bottom outside.
 * @typedef {{object: number|null, fresh: boolean, box: Box|null, bytes: number}} WireMask
 * @typedef {{id: number, name: string, colour: string}} Label
 * @typedef {{id: number, label: number|null, visible: boolean, locked: boolean, prompts: number, area: number}} ObjectView
 * @typedef {{path: string, state: string, status: string|null, objects: number, draft: boolean}} ImageItem
 * @typedef {{type: 'click', x: number, y: number, positive: boolean}} ClickPrompt
 * @typedef {{type: 'box', left: number, top: number, right: number, bottom: number}} BoxPrompt
 * @typedef {{type: 'scribble', points: number[][], radius: number, positive: boolean}} ScribblePrompt
 * @typedef {{type: 'lasso', points: number[][], positive: boolean}} LassoPrompt
 * @typedef {{type: 'stroke', points: number[][], radius: number, erase: boolean}} StrokePrompt
 * @typedef {{type: 'mask'}} MaskPrompt
 * @typedef {ClickPrompt|BoxPrompt|ScribblePrompt|LassoPrompt|StrokePrompt|MaskPrompt} Prompt
 * @typedef {{object: number|null, label: number|null, working: boolean, keep: number, add: Prompt[], undone: number}} DraftView
 */

export {};
