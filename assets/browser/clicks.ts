// A click on a link that is followed here: any other (in a new tab, say) is the browser's.
export const isPlain = (event: MouseEvent) =>
  !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
