// Times are written in UTC; here they become the visitor's own, as short as they can be told: without the year when it is
// this one, without the date when it is today. The title tells it whole, and so does an element with data-local="whole".
const hours = { hour: "2-digit", minute: "2-digit" };
const days = { day: "numeric", month: "short" };
const whole = new Intl.DateTimeFormat(undefined, { ...hours, ...days, year: "numeric" });
const ofYear = new Intl.DateTimeFormat(undefined, { ...hours, ...days });
const ofDay = new Intl.DateTimeFormat(undefined, hours);

function told(at, now, full) {
  if (full) return whole.format(at);
  if (at.toDateString() === now.toDateString()) return ofDay.format(at);
  return (at.getFullYear() === now.getFullYear() ? ofYear : whole).format(at);
}

export function localTimes(root) {
  const now = new Date();
  for (const time of root.querySelectorAll("time[data-local]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.textContent;
      time.textContent = told(at, now, time.dataset.local === "whole");
    }
  }
}

localTimes(document);
