//! Folders of images as they come.

use image::{DynamicImage, GrayImage, ImageFormat};

use super::*;

fn save(folder: &Path, name: &str, image: impl Into<DynamicImage>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.into().save(path).unwrap();
}

fn grey(height: u32, width: u32, value: u8) -> GrayImage {
    GrayImage::from_pixel(width, height, image::Luma([value]))
}

fn load_as(folder: &Path, options: Options) -> (Result<Raw>, Vec<Note>) {
    let mut notes = Vec::new();
    (read(folder, &options, None, &mut notes), notes)
}

fn load(folder: &Path, size: Option<(usize, usize)>) -> (Result<Raw>, Vec<Note>) {
    load_as(folder, Options { image_size: size, ..Options::default() })
}

#[test]
fn folders_are_classes_and_every_format_becomes_grey_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (index, format) in ["png", "bmp", "gif", "jpg", "webp", "tiff", "pgm"].into_iter().enumerate() {
        let image = DynamicImage::from(grey(2, 3, 100));
        let image = if matches!(format, "gif" | "webp") { image.into_rgba8().into() } else { image };
        save(path, &format!("10/{index}.{format}"), image);
    }
    save(path, "9/a.png", image::RgbImage::from_pixel(3, 2, image::Rgb([100, 100, 100])));
    save(path, "9/b.png", image::ImageBuffer::from_pixel(3, 2, image::Luma([100u16 * 257])));
    std::fs::rename(path.join("9/b.png"), path.join("9/b.image")).unwrap();
    std::fs::write(path.join("9/.DS_Store"), "x").unwrap();
    let (raw, notes) = load(path, None);
    let raw = raw.unwrap();
    assert_eq!((&raw.classes[..], raw.train.image, notes.len()), (&["9".into(), "10".into()][..], Some((2, 3)), 0));
    assert_eq!(raw.train.labels(), [0, 0, 1, 1, 1, 1, 1, 1, 1]);
    let bytes = raw.train.inputs.to_f32();
    assert!(bytes.len() == 54 && bytes.iter().all(|value| (99.0..=101.0).contains(value)), "{bytes:?}");
    assert!(raw.test.is_none());
}

#[test]
fn train_and_test_folders_are_the_parts_and_what_is_no_image_is_left_out_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (name, value) in [("train/a/1.png", 1), ("train/b/1.png", 2), ("test/b/1.png", 3)] {
        save(path, name, grey(1, 1, value));
    }
    for name in ["README.md", "train/notes.txt", "train/a/notes.txt"] {
        std::fs::write(path.join(name), "text").unwrap();
    }
    let (raw, notes) = load(path, None);
    let raw = raw.unwrap();
    assert_eq!((&raw.train.inputs, raw.train.labels()), (&Inputs::U8(vec![1, 2]), &[0, 1][..]));
    let test = raw.test.unwrap();
    assert_eq!((&test.inputs, test.labels()), (&Inputs::U8(vec![3]), &[1][..]));
    assert!(notes[0].text.starts_with("3 files") && notes[0].contains("README.md"), "{notes:?}");
    save(path, "test/c/1.png", grey(1, 1, 1));
    let error = load(path, None).0.unwrap_err().to_string();
    assert!(error.contains("\"c\"") && error.contains("\"a\", \"b\""), "{error}");
}

#[test]
fn images_of_other_sizes_are_resized_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "a/1.png", grey(4, 4, 10));
    save(folder.path(), "b/1.png", grey(2, 6, 20));
    let error = load(folder.path(), None).0.unwrap_err().to_string();
    for part in ["2 sizes", "1 of 4 x 4, such as a/1.png", "1 of 2 x 6, such as b/1.png", "image_size"] {
        assert!(error.contains(part), "no {part}: {error}");
    }
    let raw = load(folder.path(), Some((2, 3))).0.unwrap();
    assert_eq!(raw.train.inputs, Inputs::U8([[10; 6], [20; 6]].concat()));
    assert_eq!(raw.train.image, Some((2, 3)));
}

#[test]
fn what_is_no_folder_of_images_is_one_line_that_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(load(path, None).0.unwrap_err().to_string().contains("0 folders"));
    save(path, "a/1.png", grey(2, 2, 1));
    std::fs::create_dir(path.join("b")).unwrap();
    let error = load(path, None).0.unwrap_err().to_string();
    assert!(error.contains("no image in it") && error.contains("/b"), "{error}");
    let whole = std::fs::read(path.join("a/1.png")).unwrap();
    for content in [&b""[..], b"not an image", &whole[..whole.len() / 2]] {
        std::fs::write(path.join("b/2.png"), content).unwrap();
        for size in [None, Some((2, 2))] {
            let error = load(path, size).0.unwrap_err().to_string();
            assert!(error.contains("b/2.png") && error.contains("cannot be read") && !error.contains('\n'), "{error}");
        }
    }
}

/// A GIF of one frame: the sizes of screen and frame as its header claims them.
fn gif(screen: [u16; 2], frame: [u16; 2]) -> Vec<u8> {
    let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let palette = b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0";
    [b"GIF89a", &words(&screen)[..], palette, &words(&frame), b"\0\x02\x02\x4c\x01\0;"].concat()
}

#[test]
fn sizes_that_a_header_claims_are_checked_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 1 << 20, 1 << 20);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header().unwrap().write_chunk(png::chunk::IDAT, &[]).unwrap();
    let (mut bmp, mut start) = (std::io::Cursor::new(Vec::new()), [0; 8]);
    DynamicImage::from(grey(1, 1, 0)).into_rgb8().write_to(&mut bmp, ImageFormat::Bmp).unwrap();
    start[..4].copy_from_slice(&60_000i32.to_le_bytes());
    start[4..].copy_from_slice(&60_000i32.to_le_bytes());
    bmp.get_mut()[18..26].copy_from_slice(&start);
    for (name, content, size) in [
        ("a.pgm", b"P5 99999999 99999999 255\n".to_vec(), "99999999 x 99999999"),
        ("b.pam", b"P7\nWIDTH 90000\nHEIGHT 9000\nDEPTH 4\nMAXVAL 65535\nENDHDR\n".to_vec(), "9000 x 90000"),
        ("c.pbm", b"P4 4294967295 4294967295\n".to_vec(), "4294967295 x 4294967295"),
        ("d.gif", gif([65535; 2], [65535; 2]), "65535 x 65535"),
        ("e.bmp", bmp.into_inner(), "60000 x 60000"),
        ("f.png", png, "1048576 x 1048576"),
        // Of a small screen, with a frame that reaches beyond it.
        ("g.gif", gif([1; 2], [65535; 2]), ""),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = decode::open(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(size), "{error}");
        assert_eq!(error.contains("at most 268435456 pixels"), !size.is_empty(), "{error}");
    }
}

#[test]
fn parts_go_by_many_names_and_validation_is_a_part_of_its_own() {
    for [train, test, validation] in [["Train", "TEST", "val"], ["training", "testing", "Valid"], ["train", "-", "dev"]]
    {
        let folder = tempfile::tempdir().unwrap();
        for (part, value) in [(train, 1), (test, 2), (validation, 3)].into_iter().filter(|(part, _)| *part != "-") {
            for class in ["a", "b"] {
                save(folder.path(), &format!("{part}/{class}/1.png"), grey(1, 1, value));
            }
        }
        let raw = load(folder.path(), None).0.unwrap();
        let of = |value| Some(Inputs::U8(vec![value; 2]));
        assert_eq!(Some(raw.train.inputs), of(1));
        assert_eq!(raw.test.map(|test| test.inputs), if test == "-" { None } else { of(2) });
        assert_eq!(raw.validation.map(|validation| validation.inputs), of(3));
    }
}

#[test]
fn parts_that_cannot_be_told_are_refused_and_a_single_one_is_all_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for name in ["test/a/1.png", "test/b/1.png"] {
        save(path, name, grey(1, 1, 5));
    }
    let (raw, notes) = load(path, None);
    assert!(raw.unwrap().test.is_none() && notes[0].contains("the one part test"), "{notes:?}");
    save(path, "val/a/1.png", grey(1, 1, 5));
    assert!(load(path, None).0.unwrap_err().to_string().contains("none of training images"));
    save(path, "train/a/1.png", grey(1, 1, 5));
    save(path, "Training/a/1.png", grey(1, 1, 5));
    assert!(load(path, None).0.unwrap_err().to_string().contains("both Training and train"));
    // Images without classes.
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "train/1.png", grey(1, 1, 5));
    save(folder.path(), "test/1.png", grey(1, 1, 5));
    assert!(load(folder.path(), None).0.unwrap_err().to_string().contains("folders of classes in them"));
    let error = load(&folder.path().join("train"), None).0.unwrap_err().to_string();
    assert!(error.contains("1 images, and no folders of classes") && error.contains("predict them"), "{error}");
}

#[test]
fn folders_within_those_of_classes_are_searched_and_a_folder_around_them_is_entered() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/x/1.png", "a/2.png", "b/x/y/1.png"] {
        save(folder.path(), &format!("set/{name}"), grey(1, 1, 5));
    }
    std::fs::create_dir_all(folder.path().join("__MACOSX/set")).unwrap();
    let (raw, notes) = load(folder.path(), None);
    let raw = raw.unwrap();
    assert_eq!(
        (raw.classes, raw.train.targets),
        (vec!["a".into(), "b".into()], crate::data::Targets::Classes(vec![0, 0, 1]))
    );
    assert!(notes[0].contains("the one folder") && notes[1].contains("2 images lie in folders within"), "{notes:?}");
}

#[test]
fn images_that_are_not_read_are_counted_by_format_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    for class in ["a", "b"] {
        save(path, &format!("{class}/1.png"), grey(1, 1, 5));
        std::fs::write(path.join(class).join("IMG_1.jpg"), heic).unwrap();
    }
    std::fs::write(path.join("b/2.png"), "%PDF-1.4").unwrap();
    let (raw, notes) = load(path, None);
    assert_eq!(raw.unwrap().train.len(), 2);
    for part in ["3 files are left out", "a/IMG_1.jpg", "2 HEIC (set the camera to JPEG", "1 PDF"] {
        assert!(notes[0].contains(part), "no {part}: {notes:?}");
    }
    std::fs::remove_file(path.join("b/1.png")).unwrap();
    let error = load(path, None).0.unwrap_err().to_string();
    assert!(error.contains("no image in it but 1 HEIC") && !error.contains('\n'), "{error}");
}

#[test]
fn all_broken_images_are_told_of_at_once_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for number in 10..30 {
        let name = format!("{}/{number}.png", ["a", "b"][number % 2]);
        save(path, &name, grey(8, 8, 5));
        if number < 22 {
            let whole = std::fs::read(path.join(&name)).unwrap();
            std::fs::write(path.join(&name), &whole[..whole.len() / 2]).unwrap();
        }
    }
    for size in [None, Some((2, 2))] {
        let options = Options { image_size: size, ..Options::default() };
        let error = load_as(path, options.clone()).0.unwrap_err().to_string();
        for part in ["12 of 20 images", "a/10.png, a/12.png", "b/17.png, ...", "cannot be read", "skip_broken"] {
            assert!(error.contains(part) && !error.contains('\n'), "no {part}: {error}");
        }
        let (raw, notes) = load_as(path, Options { skip_broken: true, ..options });
        assert_eq!(raw.unwrap().train.targets, crate::data::Targets::Classes(vec![0, 0, 0, 0, 1, 1, 1, 1]));
        assert!(notes[0].contains("12 of 20 images are left out as broken: a/10.png"), "{notes:?}");
    }
    for number in [23, 25, 27, 29] {
        std::fs::write(path.join(format!("b/{number}.png")), "").unwrap();
    }
    let error = load_as(path, Options { skip_broken: true, ..Options::default() }).0.unwrap_err().to_string();
    assert!(error.contains("/b: found no image that can be read"), "{error}");
}

#[test]
fn colours_are_kept_where_that_is_asked_for_and_grey_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    save(path, "a/1.png", image::RgbImage::from_pixel(2, 1, image::Rgb([200, 10, 30])));
    save(path, "b/1.png", image::RgbaImage::from_pixel(2, 1, image::Rgba([0, 0, 90, 0])));
    let (raw, notes) = load(path, None);
    assert_eq!(raw.unwrap().train.width, 2);
    assert!(notes[0].contains("1 of 2 images are in colour") && notes[0].option == Some("colour"), "{notes:?}");
    let (raw, notes) = load_as(path, Options { colour: true, ..Options::default() });
    let train = raw.unwrap().train;
    assert_eq!((train.width, train.image, notes.len()), (6, Some((1, 2)), 0));
    assert_eq!(train.inputs, Inputs::U8([&[200, 10, 30, 200, 10, 30][..], &[0; 6]].concat()));
    let both = Options { colour: true, framing: Some(Framing::Mnist), ..Options::default() };
    assert!(matches!(load_as(path, both).0, Err(Error::Usage(_))));
}

#[test]
fn images_are_turned_as_their_camera_says_and_laid_on_a_ground_that_contrasts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // The EXIF of a JPEG: an orientation and nothing else.
    let exif = |orientation: u8| {
        let tiff =
            [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[orientation, 0, 0, 0, 0, 0, 0, 0]].concat();
        [&[0xff, 0xe1, 0, tiff.len() as u8 + 8][..], b"Exif\0\0", &tiff].concat()
    };
    let wide = GrayImage::from_fn(16, 8, |x, _| image::Luma([if x < 8 { 250 } else { 5 }]));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    DynamicImage::from(wide).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    std::fs::create_dir(path.join("a")).unwrap();
    std::fs::write(path.join("a/1.jpg"), [&jpeg[..2], &exif(6), &jpeg[2..]].concat()).unwrap();
    // Clockwise by a quarter: what was on the left is above.
    save(path, "b/1.png", GrayImage::from_fn(8, 16, |_, y| image::Luma([if y < 8 { 250 } else { 5 }])));
    for size in [None, Some((4, 2))] {
        let raw = load(path, size).0.unwrap();
        let pixels = raw.train.inputs.to_f32();
        let (turned, upright) = pixels.split_at(pixels.len() / 2);
        assert_eq!(raw.train.image, size.or(Some((16, 8))));
        assert!(turned.iter().zip(upright).all(|(a, b)| (a - b).abs() < 8.0), "{turned:?} {upright:?}");
    }

    let folder = tempfile::tempdir().unwrap();
    let strokes = |value: u8| {
        image::RgbaImage::from_fn(2, 1, move |x, _| image::Rgba([value, value, value, if x == 0 { 255 } else { 0 }]))
    };
    save(folder.path(), "a/1.png", strokes(0));
    save(folder.path(), "b/1.png", strokes(255));
    assert_eq!(load(folder.path(), None).0.unwrap().train.inputs, Inputs::U8(vec![0, 255, 255, 0]));
    let colour = Options { colour: true, ..Options::default() };
    let raw = load_as(folder.path(), colour).0.unwrap();
    assert_eq!(raw.train.inputs, Inputs::U8([[0; 3], [255; 3], [255; 3], [0; 3]].concat()));
}

#[test]
#[cfg(unix)]
fn links_in_circles_are_followed_once() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/1.png", "a/x/2.png", "b/1.png"] {
        save(folder.path(), name, grey(1, 1, 5));
    }
    std::os::unix::fs::symlink("..", folder.path().join("a/x/up")).unwrap();
    std::os::unix::fs::symlink(".", folder.path().join("b/self")).unwrap();
    let (raw, _) = load(folder.path(), None);
    assert_eq!(raw.unwrap().train.len(), 3);
    assert_eq!(paths(folder.path()).len(), 3);
}

#[test]
fn parts_by_other_names_are_not_taken_for_classes() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["training_set", "test_set"] {
        for class in ["cats", "dogs"] {
            save(folder.path(), &format!("{part}/{class}/1.png"), grey(1, 1, 5));
        }
    }
    let error = load(folder.path(), None).0.unwrap_err().to_string();
    assert!(error.contains("training_set") && error.contains("cats") && error.contains("rename"), "{error}");
    // Other folders in each are of the classes.
    save(folder.path(), "test_set/birds/1.png", grey(1, 1, 5));
    assert_eq!(load(folder.path(), None).0.unwrap().classes.len(), 2);
}
