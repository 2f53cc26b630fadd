// The browser's half of the forms: what needs no server (flashcur/components/kit/forms.py).

// Show or hide what was typed into the password field beside the button that was pressed.
export function revealPassword(event) {
  const button = event.currentTarget;
  const input = button.parentElement.querySelector("input");
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  };
  show(input.type === "password");
  // Password managers only offer to save what is sent from a password field.
  input.form?.addEventListener("submit", () => show(false), { once: true });
  input.focus();
}
