"""Miniature products in their genuine layout: folders, file names and metadata elements.

Every builder writes pixels that tell which band they are, and returns what a user would name.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS

from geodeforest.testing import make_scene

UTM_21S = CRS.from_epsg(32721)
PLACE = rasterio.Affine(10, 0, 500_000, 0, -10, 9_300_000)

SENTINEL2 = "S2A_MSIL{level}_20220701T140051_N{baseline}_R067_T21MXN_20220701T182312.SAFE"
TILE = "T21MXN_20220701T140051"
BAND_IDS = {"B02": 1, "B03": 2, "B04": 3, "B08": 7}


def write_jp2(path, values, *, step_m=10, place=PLACE):
    """A lossless JPEG 2000 image, as ESA's are."""
    array = np.asarray(values)
    array = array[np.newaxis] if array.ndim == 2 else array
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        count=array.shape[0],
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype.name,
        crs=UTM_21S,
        transform=rasterio.Affine(step_m, 0, place.c, 0, -step_m, place.f),
        QUALITY="100",
        REVERSIBLE="YES",
        YCBCR420="NO",
    ) as dataset:
        dataset.write(array)
    return path


def metadata(level, *, baseline="04.00", offsets=True, quantification=10000):
    """The main metadata file of a product, as far as its radiometry goes."""
    offset = "BOA_ADD_OFFSET" if level == "2A" else "RADIO_ADD_OFFSET"
    group = "BOA_ADD_OFFSET_VALUES_LIST" if level == "2A" else "Radiometric_Offset_List"
    each = "".join(f'<{offset} band_id="{i}">-{1000 + i}</{offset}>' for i in range(13))
    value = f'_VALUE unit="none">{quantification}</'
    if level == "2A":
        units = (
            f"<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION{value}BOA_QUANTIFICATION_VALUE>"
            '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>'
            "</QUANTIFICATION_VALUES_LIST>"
        )
    else:
        units = f"<QUANTIFICATION{value}QUANTIFICATION_VALUE>"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>2022-07-01T14:00:51.024Z</PRODUCT_START_TIME>
      <PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX>
      </Special_Values>
      {units}
      {f"<{group}>{each}</{group}>" if offsets else ""}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-{level}_User_Product>
"""


def plane(number, rows=24, cols=32, dtype=np.uint16):
    """One band of nothing but a number."""
    return np.full((rows, cols), number, dtype)


def make_safe(folder, level="2A", *, bands=None, tci=None, scl=None, classi=None, **about):
    """A ``.SAFE`` folder; ``bands`` maps names to pixels, by default 10 times their number."""
    baseline = about.get("baseline", "04.00")
    root = Path(folder) / SENTINEL2.format(
        level=level, baseline=baseline.replace(".", "0", 0).replace(".", "")
    )
    granule = root / "GRANULE" / f"L{level}_T21MXN_A026256_20220701T140052"
    ending = "_10m.jp2" if level == "2A" else ".jp2"
    images = granule / "IMG_DATA" / ("R10m" if level == "2A" else "")
    if bands is None:
        bands = {name: plane(10 * int(name[1:])) for name in BAND_IDS}
    for name, values in bands.items():
        write_jp2(images / f"{TILE}_{name}{ending}", values)
    if tci is not None:
        write_jp2(images / f"{TILE}_TCI{ending}", tci)
    if scl is not None:
        write_jp2(granule / "IMG_DATA" / "R20m" / f"{TILE}_SCL_20m.jp2", scl, step_m=20)
    if classi is not None:
        write_jp2(granule / "QI_DATA" / "MSK_CLASSI_B00.jp2", classi, step_m=60)
    root.mkdir(parents=True, exist_ok=True)
    (root / f"MTD_MSIL{level}.xml").write_text(metadata(level, **about))
    return root


def zipped(root, name=None):
    """The same folder in a zip archive beside it; the folder is gone."""
    archive = root.parent / (name or f"{root.stem}.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(root.parent).as_posix())
    shutil.rmtree(root)
    return archive


LANDSAT_8 = "LC08_{level}_224078_20200518_20200820_02_T1"
LANDSAT_7 = "LE07_{level}_225078_20110306_20200910_02_T1"


def mtl(stem, level, *, sun=40.0, date="2020-05-18"):
    """The groups of an MTL file that radiometry needs, level 1's own in level 2 products too."""
    first = {f"REFLECTANCE_MULT_BAND_{n}": f"{n}.0000E-05" for n in range(1, 8)}
    first |= {f"REFLECTANCE_ADD_BAND_{n}": "-0.100000" for n in range(1, 8)}
    groups = {
        "PRODUCT_CONTENTS": {"LANDSAT_PRODUCT_ID": stem, "PROCESSING_LEVEL": level},
        "IMAGE_ATTRIBUTES": {"DATE_ACQUIRED": date, "SUN_ELEVATION": f"{sun:.8f}"},
        "LEVEL1_RADIOMETRIC_RESCALING": first,
    }
    if level.startswith("L2"):
        second = {f"REFLECTANCE_MULT_BAND_{n}": "2.75e-05" for n in range(1, 8)}
        second |= {f"REFLECTANCE_ADD_BAND_{n}": "-0.2" for n in range(1, 8)}
        groups["LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"] = second
    return groups


def odl(groups):
    """Groups as Object Description Language, texts in quotes and numbers bare."""
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for name, facts in groups.items():
        lines.append(f"  GROUP = {name}")
        for key, value in facts.items():
            quoted = value if value[0] in "0123456789-" else f'"{value}"'
            lines.append(f"    {key} = {quoted}")
        lines.append(f"  END_GROUP = {name}")
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", ""])


def xml(groups):
    """Groups as the XML form of an MTL file."""
    parts = [
        f"<{name}>" + "".join(f"<{k}>{v}</{k}>" for k, v in facts.items()) + f"</{name}>"
        for name, facts in groups.items()
    ]
    return f"<LANDSAT_METADATA_FILE>{''.join(parts)}</LANDSAT_METADATA_FILE>"


def make_landsat(folder, name=LANDSAT_8, level="L2SP", *, form="txt", qa=None, **about):
    """A folder of single-band files whose pixels are 10 times their band's number."""
    stem = name.format(level=level)
    root = Path(folder) / stem
    root.mkdir(parents=True)
    prefix = "SR_" if level.startswith("L2") else ""
    for number in (1, 2, 3, 4, 5, 7):
        make_scene(root / f"{stem}_{prefix}B{number}.TIF", plane(10 * number), gsd_m=30)
    make_scene(root / f"{stem}_QA_RADSAT.TIF", plane(0), gsd_m=30)
    if qa is not None:
        make_scene(root / f"{stem}_QA_PIXEL.TIF", qa, gsd_m=30)
    groups = mtl(stem, level, **about)
    texts = {
        "txt": odl,
        "json": lambda told: json.dumps({"LANDSAT_METADATA_FILE": told}),
        "xml": xml,
    }
    if form is not None:
        (root / f"{stem}_MTL.{form}").write_text(texts[form](groups))
    return root


PLANET = "20230511_141718_83_2460_3B"


def planet_metadata(coefficients):
    """The bands' facts as Planet's metadata XML tells them."""
    bands = "".join(
        "<ps:bandSpecificMetadata>"
        f"<ps:bandNumber>{number}</ps:bandNumber>"
        '<ps:radiometricScaleFactor uom="W/(m^2*sr*um)">0.01</ps:radiometricScaleFactor>'
        f"<ps:reflectanceCoefficient>{value}</ps:reflectanceCoefficient>"
        "</ps:bandSpecificMetadata>"
        for number, value in enumerate(coefficients, 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ps:EarthObservation xmlns:ps="http://schemas.planet.com/ps/v1/planet_product_metadata">'
        f"{bands}</ps:EarthObservation>"
    )


def make_planet(
    folder, name="AnalyticMS_SR_clip", *, bands=4, coefficients=None, udm2=None, **facts
):
    """An analytic image whose pixels are 10 times their band's number."""
    values = np.stack([plane(10 * number) for number in range(1, bands + 1)])
    path = make_scene(Path(folder) / f"{PLANET}_{name}.tif", values, **facts)
    if coefficients is not None:
        (Path(folder) / f"{PLANET}_AnalyticMS_metadata_clip.xml").write_text(
            planet_metadata(coefficients)
        )
    if udm2 is not None:
        make_scene(Path(folder) / f"{PLANET}_udm2_clip.tif", udm2)
    return path


def make_item(folder, assets, *, name="item.json", **properties):
    """A STAC item of the given assets."""
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "S2A_21MXN_20220701_0_L2A",
        "properties": {"datetime": "2022-07-01T14:02:11Z", **properties},
        "geometry": None,
        "links": [],
        "assets": assets,
    }
    path = Path(folder) / name
    path.write_text(json.dumps(item))
    return path
