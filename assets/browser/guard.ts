// Extensions take elements of the page away, or put others around them. React fails where it then removes one, or puts
// something before it, and the whole page with it (github.com/facebook/react/issues/11538): here such a node is removed
// from where it is, and what cannot stand before it stands where it would be. Imported by the app's root, so it is here
// before React draws. What translators do to texts does not come so far (flashcur/state/wire/texts.py).

// The child of `parent` that a node is in.
function holder(parent: Node, node: Node): Node | null {
  let found: Node | null = node;
  while (found && found.parentNode !== parent) found = found.parentNode;
  return found;
}

if (typeof Node !== "undefined") {
  const { removeChild, insertBefore } = Node.prototype;
  Node.prototype.removeChild = <T extends Node>(child: T): T => {
    const parent = child.parentNode;
    return parent ? (removeChild.call(parent, child) as T) : child;
  };
  Node.prototype.insertBefore = function <T extends Node>(node: T, before: Node | null): T {
    return insertBefore.call(this, node, before && holder(this, before)) as T;
  };
}
