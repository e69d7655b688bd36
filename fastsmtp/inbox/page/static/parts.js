// The MIME parts of a mail as a tree, as its API lists them in order with their numbers.

// Numbers are IMAP's: "1.2" is the second part inside the first. Multiparts have none of their own in the list: `inside`
// names their types.
export function tree(parts) {
  const root = { type: '', number: '', children: [], part: null };
  for (const part of parts) {
    const steps = part.number.split('.');
    let node = root;
    part.inside.forEach((type, depth) => {
      const number = depth === 0 ? '' : steps.slice(0, depth).join('.');
      let child = node.children.find((one) => one.part === null && one.number === number);
      if (!child) {
        child = { type, number, children: [], part: null };
        node.children.push(child);
      }
      node = child;
    });
    node.children.push({ type: part.content_type, number: part.number, children: [], part });
  }
  return root.children;
}
