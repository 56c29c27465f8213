-- What is only read, beside the rows of `world.sql`. All ids are above 1000.

insert into agencies_affiliation (id, created_at, updated_at, name) values
  (1001, '2020-01-01', '2020-01-02', 'UWA'), (1002, '2020-01-01', '2020-01-01', 'Curtin 100%');

insert into agencies_division (id, created_at, updated_at, name, slug, director_id, approver_id) values
  (1003, '2020-01-01', '2020-01-01', 'Science', 's', 1, null),
  (1004, '2020-01-01', '2020-01-01', 'Parks', 'p', null, null);

insert into agencies_division_directorate_email_list (id, division_id, user_id) values
  (1005, 1003, 2), (1006, 1003, 1);

insert into agencies_departmentalservice (id, created_at, updated_at, name, director_id) values
  (1007, '2020-01-01', '2020-01-01', 'Whales', 2), (1008, '2020-01-01', '2020-01-01', 'Fire', null);

insert into agencies_businessarea
  (id, created_at, updated_at, agency_id, name, slug, division_id, published, is_active, leader_id,
   cost_center)
values
  (1009, '2020-01-01', '2020-01-01', 11, 'Zoology', 'z', 1003, true, true, 2, 7),
  (1010, '2020-01-01', '2020-01-01', 11, 'Botany', null, null, false, false, 2, null);

insert into agencies_agency (id, created_at, updated_at, name, is_active) values
  (1017, '2020-01-01', '2020-01-01', 'Zoo', true), (1018, '2020-01-01', '2020-01-01', 'Herbarium', true);

insert into medias_agencyimage (id, created_at, updated_at, file, size, agency_id) values
  (1011, '2020-01-01', '2020-01-01', 'agencies/1017.png', 1, 1017);

insert into locations_area (id, created_at, updated_at, name, area_type) values
  (1012, '2020-01-01', '2020-01-01', 'Wheatbelt', 'dbcaregion'),
  (1013, '2020-01-01', '2020-01-01', 'Blackwood', 'dbcadistrict'),
  (1014, '2020-01-01', '2020-01-01', 'Carnarvon', 'ibra'),
  (1015, '2020-01-01', '2020-01-01', 'Leeuwin', 'imcra'),
  (1016, '2020-01-01', '2020-01-01', 'Rangelands', 'nrm');
