// @ts-check
import {byId} from './dom.js';
/**
 * @typedef {import('./keys.js').Command} Command
 * @typedef {import('./main.js').Page} Page
 * @typedef {import('./tools.js').Tool} Tool
 */

/** Everything that a key or a button of the bar does. @param {Page} page @returns {Command[]} */
export function commands(page) {
  const {state, tools, view, renderer} = page;
  const tool = (/** @type {Tool} */ name) => () => tools.choose(name);
  const paint = (/** @type {() => void} */ change) => () => {
    change();
    renderer.redraw('masks', 'marks');
    page.status.show();
  };
  let panned = 0;
  const chosen = (/** @type {(id: number) => void} */ run) => () => {
    if (state.selected !== null) run(state.selected);
    else page.status.say('No object is chosen; click on one in the list.');
  };
  const edit = (/** @type {'visible'|'locked'} */ what) => chosen((id) => {
    const item = page.objects.item(id);
    if (item) page.act('edit', {object: id, values: {[what]: !item[what]}});
  });
  /** @type {Command[]} */
  const all = [
    {id: 'commit', group: 'Object', keys: ['Enter'], text: 'Finish the object and go on with the next', run: () => page.act('commit')},
    {id: 'cancel', group: 'Object', keys: ['Escape'], text: 'Give the line or the object up', run: () => cancel(page)},
    {id: 'undo', group: 'Object', keys: ['Ctrl+Z'], text: 'Undo the last click, line or change', repeat: true, run: () => page.act('undo')},
    {id: 'redo', group: 'Object', keys: ['Ctrl+Shift+Z', 'Ctrl+Y'], text: 'Redo', repeat: true, run: () => page.act('redo')},
    {id: 'refine', group: 'Object', keys: ['R'], text: 'Refine the chosen object from its own clicks', run: chosen((id) => page.act('reopen', {object: id}))},
    {id: 'remove', group: 'Object', keys: ['Delete', 'Backspace'], text: 'Remove the chosen object', run: chosen((id) => page.act('remove', {object: id}))},
    {id: 'next-object', group: 'Object', keys: ['N'], text: 'Choose the next object', repeat: true, run: () => page.objects.selectNext(1)},
    {id: 'pick', group: 'Object', keys: ['V'], text: 'Choose the object under the pointer', run: () => pick(page)},
    {id: 'visible', group: 'Object', keys: ['Shift+H'], text: 'Show or hide the chosen object', run: edit('visible')},
    {id: 'lock', group: 'Object', keys: ['Shift+L'], text: 'Lock or unlock the chosen object', run: edit('locked')},
    {id: 'front', group: 'Object', keys: ['PageUp'], text: 'The chosen object to the front', run: chosen((id) => page.objects.raise(id, 1))},
    {id: 'back', group: 'Object', keys: ['PageDown'], text: 'The chosen object to the back', run: chosen((id) => page.objects.raise(id, -1))},
    {id: 'click', group: 'Tools', keys: ['C'], text: 'Click, or drag a box', run: tool('click')},
    {id: 'scribble', group: 'Tools', keys: ['S'], text: 'Scribble', run: tool('scribble')},
    {id: 'lasso', group: 'Tools', keys: ['L'], text: 'Lasso', run: tool('lasso')},
    {id: 'brush', group: 'Tools', keys: ['B'], text: 'Brush: exactly these pixels', run: tool('brush')},
    {id: 'eraser', group: 'Tools', keys: ['E'], text: 'Eraser: exactly not these pixels', run: tool('eraser')},
    {id: 'sign', group: 'Tools', keys: ['X'], text: 'Swap what is and what is not part of the object', run: () => tools.setNegative(!tools.negative)},
    {id: 'smaller', group: 'Tools', keys: [','], text: 'Smaller brush', repeat: true, run: () => tools.resizeBrush(1 / 1.2)},
    {id: 'larger', group: 'Tools', keys: ['.'], text: 'Larger brush', repeat: true, run: () => tools.resizeBrush(1.2)},
    {id: 'next', group: 'Images', keys: ['D'], text: 'Next image', run: () => step(page, 1)},
    {id: 'previous', group: 'Images', keys: ['A'], text: 'Previous image', run: () => step(page, -1)},
    {id: 'done', group: 'Images', keys: ['Shift+Enter'], text: 'Finish object and image, and go to the next', run: () => page.finish('done')},
    {id: 'skip', group: 'Images', keys: ['Shift+S'], text: 'Skip the image', run: () => page.finish('skipped')},
    {id: 'reopen-image', group: 'Images', keys: ['Shift+O'], text: 'Mark the image as open again', run: () => page.act('status', {status: 'open'})},
    {id: 'export', group: 'Images', keys: ['Shift+E'], text: 'Export for other programs', run: () => page.export.show()},
    {id: 'fit', group: 'View', keys: ['F', '0'], text: 'The whole image', run: () => view.fit()},
    {id: 'zoom-object', group: 'View', keys: ['Z'], text: 'Zoom to the object', run: () => page.zoomTo()},
    {id: 'zoom-in', group: 'View', keys: ['+', '='], text: 'Zoom in', repeat: true, run: () => view.zoom(1.25)},
    {id: 'zoom-out', group: 'View', keys: ['-'], text: 'Zoom out', repeat: true, run: () => view.zoom(0.8)},
    {id: 'hide', group: 'View', keys: ['H'], text: 'Hide or show all masks', run: paint(() => (renderer.hidden = !renderer.hidden))},
    {id: 'outline', group: 'View', keys: ['O'], text: 'Outline only', run: paint(() => (renderer.outlineOnly = !renderer.outlineOnly))},
    {id: 'fainter', group: 'View', keys: ['['], text: 'Fainter masks', repeat: true, run: paint(() => (renderer.opacity = Math.max(0, renderer.opacity - 0.1)))},
    {id: 'stronger', group: 'View', keys: [']'], text: 'Stronger masks', repeat: true, run: paint(() => (renderer.opacity = Math.min(1, renderer.opacity + 0.1)))},
    {id: 'theme', group: 'View', keys: ['Shift+T'], text: 'Light or dark', run: () => page.status.toggleTheme()},
    {id: 'help', group: 'View', keys: ['?', 'F1'], text: 'These shortcuts', run: () => page.help.show()},
    {id: 'pan', group: 'Keyboard', keys: ['Space'], text: 'Hold: drag moves the image; tap: click at the crosshair',
      run: () => { tools.panning = true; panned = performance.now(); byId('stage').classList.add('panning'); },
      up: () => {
        tools.panning = false;
        byId('stage').classList.remove('panning');
        if (performance.now() - panned < 300) tools.clickAtCrosshair(true);
      }},
    {id: 'click-not', group: 'Keyboard', keys: ['Shift+Space'], text: 'Negative click at the crosshair', run: () => tools.clickAtCrosshair(false)},
  ];
  for (const [name, dx, dy] of /** @type {[string, number, number][]} */ ([['Left', -1, 0], ['Right', 1, 0], ['Up', 0, -1], ['Down', 0, 1]])) {
    all.push({id: `cross-${name}`, group: 'Keyboard', keys: [`Arrow${name}`], text: `Crosshair ${name.toLowerCase()}`, repeat: true, run: () => tools.moveCrosshair(16 * dx, 16 * dy)});
    all.push({id: `nudge-${name}`, group: 'Keyboard', keys: [`Shift+Arrow${name}`], text: `Crosshair ${name.toLowerCase()}, finely`, repeat: true, run: () => tools.moveCrosshair(2 * dx, 2 * dy)});
  }
  for (let digit = 1; digit <= 9; digit++) {
    all.push({id: `label-${digit}`, group: 'Labels', keys: [String(digit)], text: `Label ${digit}`, run: () => {
      const label = state.labels[digit - 1];
      if (label) page.useLabel(label.id);
    }});
  }
  return all;
}

/** @param {Page} page @param {number} by */
function step(page, by) {
  if (!page.images.step(by)) page.status.say(by > 0 ? 'This is the last image of the list.' : 'This is the first image of the list.');
}

/** @param {Page} page */
function cancel(page) {
  if (page.tools.cancel()) return;
  if (page.state.draft.working) page.act('discard');
  else if (page.state.selected !== null) page.state.select(null);
}

/** @param {Page} page */
function pick(page) {
  const {tools, state} = page;
  if (!tools.cursor) return;
  const [x, y] = tools.cursor.map(Math.floor);
  const found = [...state.objects].reverse().find((item) => item.visible && state.masks.get(item.id)?.contains(x, y));
  state.select(found?.id ?? null);
}
