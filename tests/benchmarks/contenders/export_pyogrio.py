"""GDAL's AmigoCloud driver, from the pyogrio wheel, into a data frame and JSON Lines."""

import pyogrio


def run(folder, host, project, token, dataset, **_):
    options = {"AMIGOCLOUD_API_URL": host, "AMIGOCLOUD_API_KEY": token}
    pyogrio.set_gdal_config_options(options)
    number = project.rpartition("/")[2]
    frame = pyogrio.read_dataframe(f"AMIGOCLOUD:{number} datasets={dataset}", read_geometry=False)
    frame.to_json(f"{folder}/pyogrio.jsonl", orient="records", lines=True)
    return {"rows": len(frame)}
