/* Draw the landscape first, then what lies further down. */

(async () => {
  Selection.start();
  await Landscape.start();
  const best = Data.byName.get(Data.table.objective);
  let first = -1;
  best.values.forEach((value, position) => {
    if (!Number.isNaN(value) && (first < 0 || best.better * (value - best.values[first]) > 0)) first = position;
  });
  if (first >= 0) Selection.choose(first, { announce: false });
  await Link.restore();
  Pictures.start();
  Data.races.forEach((race, number) => Trajectories.start(race, number));
  performance.mark("page");
})();
