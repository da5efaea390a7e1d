// A field for a time zone that is still empty gets the browser's.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

for (const field of document.querySelectorAll("input[data-zone]")) {
  field.value ||= zone ?? "";
}
